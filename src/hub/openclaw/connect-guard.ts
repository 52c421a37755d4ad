import { z } from 'zod';
import type { Judged } from '#src/link/relay.ts';

/** Lets one `connect` of a node through, as the first frame, and no other `connect` ever. */
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
  params: z.looseObject({
    role: z.literal('node'),
    scopes: z.array(z.string()).max(0).optional(),
    client: z.looseObject({ mode: z.literal('node') }),
    commands: z.array(z.string()).max(1000).optional(),
    device: z.looseObject({ id: z.string().regex(/^[0-9a-f]{64}$/) }),
    auth: z.looseObject({ bootstrapToken: z.string().min(1).optional() }).optional(),
  }),
});

const greetingSchema = z.object({
  type: z.literal('res'),
  id: z.string(),
  ok: z.literal(true),
  payload: z.object({ type: z.literal('hello-ok') }),
});

export function connectGuard({ knownDevice, granted, onGreeted, onRefused }: ConnectGuardOptions): ConnectGuard {
  let connect: z.infer<typeof connectSchema> | null = null;
  let greeted = false;

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

  function judge(data: Buffer, binary: boolean): Judged {
    if (connect === null) return judgeFirst(data, binary);
    if (mayBeConnect(data)) {
      const frame = parseJson(data);
      // What does not parse here might be read by a more lenient parser there.
      if (frame === undefined) return refused('a frame that is no JSON');
      if (isConnect(frame)) return refused('a second connect');
    }
    return { ok: true, frame: data };
  }

  return {
    judge(data, binary) {
      const judged = judge(data, binary);
      if (!judged.ok) onRefused(judged.reason);
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

/** Only a plain or an escaped spelling can be read as `connect`: large frames without either are not parsed. */
function mayBeConnect(data: Buffer): boolean {
  return data.includes('"connect"') || data.includes('\\u');
}

function isConnect(frame: unknown): boolean {
  return typeof frame === 'object' && frame !== null && 'method' in frame && frame.method === 'connect';
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
