import { z } from 'zod';
import type { Judged } from '#src/link/relay.ts';

/**
 * Lets one `connect` of a node through, as the first frame, and after it only what a node host needs to run the commands
 * that it was granted: what it answers to the gateway, and how its runs go.
 */
export interface ConnectGuard {
  /** Of the node's frames. */
  readonly judge: (data: Buffer, binary: boolean) => Judged;
  /** Of the gateway's frames. */
  readonly watch: (data: Buffer) => void;
}

export interface ConnectGuardOptions {
  /** The device that the member's node host is known to be; another one needs a setup code. */
  readonly knownDevice: string | null;
  /** What it may offer to the gateway; null where that was never asked. */
  readonly granted: readonly string[] | null;
  readonly onGreeted: (deviceId: string) => void;
  readonly onRefused: (reason: string) => void;
}

/** The gateway's limit of what comes before its hello. */
const MAX_CONNECT_BYTES = 65_536;

const connectSchema = z.looseObject({
  type: z.literal('req'),
  id: z.string().min(1).max(256),
  method: z.literal('connect'),
  // What it says beyond these is left out: models, worker runs and the use of a screen were never asked for.
  params: z.object({
    minProtocol: z.number().optional(),
    maxProtocol: z.number().optional(),
    role: z.literal('node'),
    scopes: z.array(z.string()).max(0).optional(),
    client: z.looseObject({ mode: z.literal('node') }),
    commands: z.array(z.string()).max(1000).optional(),
    caps: z.array(z.string()).max(1000).optional(),
    pathEnv: z.string().optional(),
    device: z.looseObject({ id: z.string().regex(/^[0-9a-f]{64}$/) }),
    auth: z.looseObject({ bootstrapToken: z.string().min(1).optional() }).optional(),
  }),
});

/** What follows the connect; more than these fields the gateway does not read. */
const requestSchema = z.object({
  type: z.literal('req'),
  id: z.string().min(1).max(256),
  method: z.string().min(1),
  params: z.unknown().optional(),
});

/** What a node host says of a command that the gateway has asked of it; the gateway takes none for another. */
const ANSWERS: ReadonlySet<string> = new Set(['node.invoke.result', 'node.invoke.progress']);
/**
 * Events of `system.run`, which the gateway matches with a run of its own. All others speak for somebody: agent.request
 * and voice.transcript start an agent, chat.subscribe reads along, and notifications and skills end up in prompts.
 */
const RUN_EVENTS: ReadonlySet<string> = new Set(['exec.started', 'exec.finished', 'exec.denied']);

const greetingSchema = z.object({
  type: z.literal('res'),
  id: z.string(),
  ok: z.literal(true),
  payload: z.object({ type: z.literal('hello-ok') }),
});

export function connectGuard({ knownDevice, granted, onGreeted, onRefused }: ConnectGuardOptions): ConnectGuard {
  let connect: z.infer<typeof connectSchema> | null = null;
  let greeted = false;
  /** Once for a connection: who asks on and on fills no log. */
  let isDenialTold = false;

  function judgeFirst(data: Buffer, binary: boolean): Judged {
    if (binary || data.length > MAX_CONNECT_BYTES) return refused('the first frame must be a connect');
    const parsed = connectSchema.safeParse(parseJson(data));
    if (!parsed.success) return refused('only a node may connect here');
    const { device, auth, commands = [] } = parsed.data.params;
    if (knownDevice !== null && device.id !== knownDevice && auth?.bootstrapToken === undefined) {
      return refused('another device than the one that joined needs a setup code');
    }
    // With its code the gateway would grant whatever comes here.
    const beyond = commands.filter((command) => granted?.includes(command) === false);
    if (beyond.length > 0) return refused(`it offers more than it was granted: ${beyond.slice(0, 8).join(', ')}`);
    connect = parsed.data;
    // Written anew, so that the gateway reads exactly what was judged, whatever a parser makes of the original.
    return { ok: true, frame: JSON.stringify(parsed.data) };
  }

  function judgeLater(data: Buffer, binary: boolean): Judged {
    if (binary) return refused('a binary frame');
    const parsed = requestSchema.safeParse(parseJson(data));
    if (!parsed.success) return refused('a frame that is no request');
    const { id, method, params } = parsed.data;
    if (method === 'connect') return refused('a second connect');
    if (!isOfNodeHost(method, params)) return denied(id, method, params);
    // Written anew, as the first one.
    return { ok: true, frame: JSON.stringify(parsed.data) };
  }

  /** Answered as the gateway answers what it does not do: a node host that asks for more goes on without it. */
  function denied(id: string, method: string, params: unknown): Judged {
    const event = method === 'node.event' ? eventOf(params) : undefined;
    const what = event === undefined ? method : `${method} ${event}`;
    if (!isDenialTold) onRefused(`it asks for what no node host needs: ${what.slice(0, 64)}`);
    isDenialTold = true;
    const error = { code: 'INVALID_REQUEST', message: 'the federation does not carry this to the gateway' };
    return { ok: false, answer: JSON.stringify({ type: 'res', id, ok: false, error }) };
  }

  return {
    judge(data, binary) {
      const judged = connect === null ? judgeFirst(data, binary) : judgeLater(data, binary);
      if ('reason' in judged) onRefused(judged.reason);
      return judged;
    },
    watch(data) {
      if (greeted || connect === null) return;
      const greeting = greetingSchema.safeParse(parseJson(data));
      if (!greeting.success || greeting.data.id !== connect.id) return;
      greeted = true;
      onGreeted(connect.params.device.id);
    },
  };
}

function isOfNodeHost(method: string, params: unknown): boolean {
  if (ANSWERS.has(method)) return true;
  return method === 'node.event' && RUN_EVENTS.has(eventOf(params) ?? '');
}

function eventOf(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null || !('event' in params)) return undefined;
  return typeof params.event === 'string' ? params.event : undefined;
}

function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}

function refused(reason: string): Judged {
  return { ok: false, reason };
}
