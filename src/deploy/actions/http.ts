import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { HubAddress } from '#src/core/hub-address.ts';

export interface Answered {
  readonly status: number;
  readonly text: string;
}

const ANSWER_MS = 10_000;
const MAX_CHARACTERS = 65_536;

/**
 * What a server says to a GET that comes from that machine. Throws HUB_UNREACHABLE where nothing answers, and NOT_A_HUB
 * for what is no HTTP or has no end.
 */
export async function askFrom(machine: Machine, to: HubAddress, path: string, signal: AbortSignal): Promise<Answered> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  try {
    const stream = await machine.connect(to, inTime);
    try {
      const asking = request({
        createConnection: () => stream,
        path,
        headers: { host: hubAddressText(to) },
        signal: inTime,
      });
      asking.end();
      const [response] = (await once(asking, 'response')) as [IncomingMessage];
      return { status: response.statusCode ?? 0, text: await textOf(response, to) };
    } finally {
      stream.destroy();
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof FederationError) throw cause;
    throw isParseError(cause) ? notHttp(to, cause) : silent(machine, to, cause);
  }
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

/** Error codes of Node's HTTP parser. */
function isParseError(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('HPE_');
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
