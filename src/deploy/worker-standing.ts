import { join } from 'node:path/posix';
import { z } from 'zod';
import type { Home } from '#src/adapters/home.ts';
import type { Files } from '#src/adapters/machine/files.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { ERROR_CODES } from '#src/core/errors.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import { jsonAs } from '#src/deploy/json.ts';

/** How a worker daemon stands by its own word, whatever its version: null is what it does not say, or not in our words. */
export type WorkerStanding = Omit<WorkerRecord, 'nodeHost'> & { readonly nodeHost: WorkerRecord['nodeHost'] | null };

const problemSchema = z.object({
  code: z.enum(ERROR_CODES).catch('INTERNAL'),
  message: z.string(),
  hint: z.string().optional(),
});
const said = z.string().nullish().default(null);
const modelsSchema = z.object({
  port: z.int().nullable(),
  portProblem: said,
  problem: said,
  upstreams: z.array(z.object({ name: z.string(), models: z.int(), problem: said })),
});
const schema: z.ZodType<WorkerStanding> = z.object({
  pid: z.int(),
  id: z.string(),
  name: z.string(),
  fingerprint: z.string(),
  hub: z.string(),
  link: z.enum(['connecting', 'waiting', 'refused', 'member']),
  held: said,
  problem: problemSchema.nullish().default(null),
  nodeHost: z.enum(['off', 'waiting', 'running', 'connected']).nullable().catch(null),
  nodeHostProblem: said,
  models: modelsSchema.optional().catch(undefined),
});

/** Null where the text is no record of a worker. */
export function workerStandingIn(text: string): WorkerStanding | null {
  return jsonAs(schema, text);
}

/** How the worker daemon of a home on that machine stands; null where none runs. */
export async function runningWorker(
  machine: Machine,
  files: Files,
  home: string,
  signal: AbortSignal,
): Promise<WorkerStanding | null> {
  const bytes = await files.read(join(home, WORKER_RECORD_FILE));
  const standing = workerStandingIn(bytes?.toString('utf8') ?? '');
  if (standing === null) return null;
  // One that was killed leaves its record behind.
  const looked = await machine.run({ argv: ['test', '-d', `/proc/${standing.pid}`], as: 'login', signal });
  return looked.code === 0 ? standing : null;
}

/** Null where none was written. */
export async function workerStandingOf(home: Home): Promise<WorkerStanding | null> {
  return workerStandingIn((await home.read(WORKER_RECORD_FILE)) ?? '');
}
