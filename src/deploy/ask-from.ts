import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';

export interface Question {
  /** Where the server is, which is also what it is called. */
  readonly to: HubAddress;
  /** Name or address to connect to; the server's own where nothing is said. */
  readonly by?: string;
  readonly path: string;
}

export interface Answered {
  readonly status: number;
  /** The server's clock, in whole seconds, as milliseconds since the epoch; null where it does not say. */
  readonly date: number | null;
  readonly text: string;
}

/** A hub answers at once; a tailnet path that is set up anew takes some seconds. */
const ANSWER_MS = 10_000;
const MAX_CHARACTERS = 65_536;

/**
 * What a server says to a GET that comes from that machine. Throws HUB_UNREACHABLE where nothing answers, with a
 * TimeoutError as its cause after ten seconds, and NOT_A_HUB for what is no HTTP or has no end.
 */
export async function askFrom(machine: Machine, question: Question, signal: AbortSignal): Promise<Answered> {
  const { to, by = to.host } = question;
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  try {
    const stream = await machine.connect({ host: by, port: to.port }, inTime);
    stream.on('error', () => undefined);
    try {
      return await get(stream, question, inTime);
    } finally {
      stream.destroy();
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (inTime.aborted) throw silent(machine, to, inTime.reason);
    if (cause instanceof FederationError) throw cause;
    const code = socketCode(cause);
    if (code === null) throw cause;
    throw code.startsWith('HPE_') ? notHttp(to, cause) : silent(machine, to, cause);
  }
}

async function get(stream: Duplex, { to, path }: Question, signal: AbortSignal): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { host: hubAddressText(to), connection: 'close' };
  const asking = request({ path, headers, createConnection: () => stream, signal });
  asking.once('response', resolve);
  asking.on('error', reject);
  // A request does not notice a connection that was over before it began.
  const over = (): void => reject(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
  if (stream.destroyed) over();
  stream.once('close', over);
  asking.end();
  const response = await promise;
  const date = Date.parse(response.headers.date ?? '');
  return {
    status: response.statusCode ?? 0,
    date: Number.isNaN(date) ? null : date,
    text: await textOf(response, to),
  };
}

async function textOf(response: IncomingMessage, to: HubAddress): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) {
    text += part as string;
    if (text.length > MAX_CHARACTERS) throw notHttp(to);
  }
  return text;
}

/** Null for what did not come of the connection. */
function socketCode(error: unknown): string | null {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : null;
}

function notHttp(to: HubAddress, cause?: unknown): FederationError {
  return new FederationError('NOT_A_HUB', `what answers at ${hubAddressText(to)} is no hub`, {
    hint: 'name the master and the port of its hub (19000 where nobody chose another)',
    cause,
  });
}

function silent(machine: Machine, to: HubAddress, cause: unknown): FederationError {
  return new FederationError('HUB_UNREACHABLE', `nothing answers at ${hubAddressText(to)}, seen from ${machine.name}`, {
    hint: 'see that the master is up (manage-federation status there) and that both are in the same network',
    cause,
  });
}
