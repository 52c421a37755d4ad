import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import { jsonIn } from '#src/deploy/doctor/ask/json.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';

export type HubAnswer =
  | { readonly state: 'unreachable'; readonly problem: string }
  /** Something answers, and it is no hub that takes this machine for one of its own. */
  | { readonly state: 'foreign'; readonly problem: string }
  | {
      readonly state: 'answers';
      readonly version: string;
      /** Null where it does not say so. */
      readonly hubId: string | null;
      /** Versions of the link protocol; null where it does not say so. */
      readonly protocol: { readonly min: number; readonly max: number } | null;
      /** How far the hub's clock is ahead of the machine's, in milliseconds; null where one of them is not known. */
      readonly clockAheadMs: number | null;
    };

/** Lenient: a hub of another version is what is looked for here. */
const healthSchema = z.object({
  status: z.literal('ok'),
  version: z.string(),
  hubId: z.string().nullish(),
  protocol: z.object({ min: z.int(), max: z.int() }).nullish(),
});

/** A hub answers at once; a tailnet path that is set up anew takes some seconds. */
const ANSWER_MS = 10_000;
const MAX_BYTES = 65_536;

export interface HubQuestion {
  readonly hub: HubAddress;
  /** Tailnet addresses of that host, for where its name is not resolved. */
  readonly addresses: readonly string[];
}

/** Asks the hub how it is, from the machine, as its worker daemon reaches it. */
export async function askHub(
  machine: Machine,
  { hub, addresses }: HubQuestion,
  signal: AbortSignal,
): Promise<HubAnswer> {
  const clock = await askClock(machine, signal);
  let answer = await askAt(machine, hub.host, hub, clock, signal);
  // What a name leads to is known only when somebody answers there: over ssh a connection is there at once.
  for (const address of addresses) {
    if (answer.state === 'answers' || address === hub.host) break;
    const other = await askAt(machine, address, hub, clock, signal);
    if (other.state === 'answers') answer = other;
  }
  return answer;
}

async function askAt(
  machine: Machine,
  host: string,
  hub: HubAddress,
  clock: number | null,
  signal: AbortSignal,
): Promise<HubAnswer> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  try {
    await using connection = closing(await machine.connect({ host, port: hub.port }, late));
    const { status, date, text } = await get(connection.stream, hub, late);
    return answerOf(status, text, clock === null || Number.isNaN(date) ? null : date - clock);
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) return { state: 'unreachable', problem: 'no answer within 10 s' };
    if (error instanceof FederationError) {
      if (error.code === 'MACHINE_UNREACHABLE') throw error;
      return { state: 'unreachable', problem: error.code === 'HUB_UNREACHABLE' ? NOBODY : error.message };
    }
    if (!isSocketError(error)) throw error;
    return { state: 'unreachable', problem: CLOSED.has(error.code ?? '') ? NOBODY : error.message };
  }
}

const NOBODY = 'nothing answers there';
/** How a connection ends that ssh could not make, or that nobody wants to have. */
const CLOSED: ReadonlySet<string> = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE']);

function isSocketError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** Whole seconds, as in the Date of the answer. */
async function askClock(machine: Machine, signal: AbortSignal): Promise<number | null> {
  const ran = await look(machine, { argv: ['date', '+%s'], as: 'login', signal });
  const seconds = Number(ran?.stdout.trim() || Number.NaN);
  return Number.isNaN(seconds) ? null : seconds * 1000;
}

function closing(stream: Duplex): AsyncDisposable & { readonly stream: Duplex } {
  stream.on('error', () => undefined);
  return { stream, [Symbol.asyncDispose]: async () => void stream.destroy() };
}

function get(stream: Duplex, hub: HubAddress, signal: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; date: number; text: string }>();
  const asking = request({
    path: '/health',
    headers: { host: hubAddressText(hub), connection: 'close' },
    createConnection: () => stream,
    signal,
  });
  asking.on('error', reject);
  // A request does not notice a connection that was over before it began.
  const over = (): void => reject(new FederationError('HUB_UNREACHABLE', NOBODY));
  if (stream.destroyed) over();
  stream.once('close', over);
  asking.on('response', (response) => {
    stream.off('close', over);
    readText(response).then(
      (text) => resolve({ status: response.statusCode ?? 0, date: Date.parse(response.headers.date ?? ''), text }),
      reject,
    );
  });
  asking.end();
  return promise;
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BYTES) break;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answerOf(status: number, text: string, clockAheadMs: number | null): HubAnswer {
  if (status === 403) return { state: 'foreign', problem: 'the hub does not go by that name' };
  const health = healthSchema.safeParse(jsonIn(text));
  if (status !== 200 || !health.success) return { state: 'foreign', problem: `it answered ${status}, and is no hub` };
  const { version, hubId = null, protocol = null } = health.data;
  return { state: 'answers', version, hubId, protocol, clockAheadMs };
}
