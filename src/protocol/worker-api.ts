import { z } from 'zod';
import { usedApprovalSchema } from '#src/protocol/approval.ts';
import { askerSchema } from '#src/protocol/asker.ts';

/**
 * What the hub asks of a worker, as HTTP/2 requests on the link. Every request names the hub's epoch in
 * EPOCH_HEADER; a worker that knows a newer one answers 409 with EPOCH_STALE.
 *
 *     POST /exec                 frames in (open, go, stdin*, stdinEnd, cancel), frames out (started, stdout, stderr, exit)
 *     GET  /invocations/{id}     what the worker's journal knows of it
 *     DELETE /invocations/{id}   ends it where a cancel frame would wait behind input that nobody reads
 *     POST /revoke               the node is out: everything that runs ends now
 *     POST /lockdown             everything that runs ends, and nothing is run until
 *     DELETE /lockdown           lifts it
 */
export const EPOCH_HEADER = 'x-federation-epoch';

/** Bytes of a command with its environment: what Linux takes at least (ARG_MAX) is far more. */
export const MAX_COMMAND_BYTES = 256 * 1024;

const text = z.string().refine((value) => !value.includes('\0'), 'must not hold a NUL');

/** What to run: an argv, or one string for the node's shell. */
export const commandSchema = z
  .strictObject({
    argv: z.array(text).min(1).max(4096).optional().describe('Program and arguments, run without a shell'),
    shell: text.min(1).optional().describe('One string, run by /bin/sh -c'),
    cwd: text.min(1).optional().describe('Working directory; the home of the user the worker runs as otherwise'),
    env: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), text)
      .default({})
      .describe('Added to the worker’s environment'),
    timeoutMs: z.int().positive().max(2_147_483_647).nullable().default(null).describe('Time until the node ends it'),
  })
  .refine((command) => (command.argv === undefined) !== (command.shell === undefined), 'needs argv or shell, not both')
  .refine((command) => command.argv?.[0] !== '', 'the program has no name')
  .refine((command) => JSON.stringify(command).length <= MAX_COMMAND_BYTES, 'is longer than 256 KiB');
export type Command = z.infer<typeof commandSchema>;

/** The `open` frame of POST /exec. */
export const invocationSchema = z.object({
  id: z.string().regex(/^[0-9A-Z]{26}$/),
  job: z.string().regex(/^[0-9A-Z]{26}$/),
  asker: askerSchema,
  command: commandSchema,
  /** Where the owner had to approve the command on this node. */
  approval: usedApprovalSchema.optional(),
  stdin: z.boolean(),
  /**
   * It is judged and journaled at once, and started by `go`: so the hub's own record can become durable meanwhile.
   * Without `go` it never starts.
   */
  held: z.boolean().default(false),
});
export type Invocation = z.infer<typeof invocationSchema>;

/** The `started` frame: the node says itself who it is. */
export const startedSchema = z.object({
  node: z.string().max(64),
  name: z.string().max(63),
  pid: z.int().positive(),
  /** How long it has from TERM to KILL when it is to be ended. */
  killAfterMs: z.int().min(0).max(60_000),
});
export type Started = z.infer<typeof startedSchema>;

/** The hub keeps it: a node that has turned must not fill its disk with words. */
const words = z.string().transform((said) => said.slice(0, 1000));

export const exitRecordSchema = z.object({
  exitCode: z.int().min(0).max(255).nullable(),
  signal: z
    .string()
    .regex(/^SIG[A-Z0-9+-]{1,12}$/)
    .nullable(),
  ended: z.enum(['itself', 'timeout', 'cancelled', 'hub-lost', 'revoked']),
  spawnError: words.optional(),
  durationMs: z.number().min(0),
  stdoutBytes: z.int().min(0),
  stderrBytes: z.int().min(0),
  truncated: z.boolean(),
  survivors: z.int().min(0),
});

/** The `exit` frame of a worker: how it ended, or why it was never started. */
export const workerExitSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ended'), exit: exitRecordSchema, replayed: z.boolean() }),
  z.object({ kind: z.literal('refused'), outcome: z.enum(['denied', 'unreachable']), reason: words }),
  /** A repeat of an invocation that was started before and whose end the worker does not know. */
  z.object({ kind: z.literal('unknown'), reason: words }),
]);
export type WorkerExit = z.infer<typeof workerExitSchema>;

/** Answer of GET /invocations/{id}. `lost`: it was started, and the worker died before it saw the end. */
export const invocationStateSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('never-started') }),
  z.object({ state: z.literal('running') }),
  z.object({ state: z.literal('ended'), exit: exitRecordSchema }),
  z.object({ state: z.literal('lost') }),
]);
export type InvocationState = z.infer<typeof invocationStateSchema>;
