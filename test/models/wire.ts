import { request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SeenRequest } from '../support/model-server.ts';

/**
 * All that may differ between a request or an answer that goes straight and one that was carried, in one place. What is
 * of one hop by definition (RFC 9110, 7.6.1) is left out on both sides, and so is how a body was framed.
 */
export const EXCEPTIONS = {
  /** Towards the upstream: of the hop, or replaced; the way, which an upstream on loopback is told. */
  request: [
    ...[
      'host',
      'connection',
      'keep-alive',
      'te',
      'transfer-encoding',
      'content-length',
      'expect',
      'proxy-authorization',
    ],
    ...['authorization', 'x-api-key', 'cookie'],
    ...['x-federation-node', 'x-federation-session', 'x-federation-hops', 'x-federation-via'],
  ],
  /** Towards the client: of the hop; ours. */
  response: [
    ...['connection', 'keep-alive', 'transfer-encoding', 'proxy-authenticate', 'trailer'],
    ...['x-federation-node', 'x-federation-model', 'x-federation-attempts', 'server-timing'],
    ...['x-federation-failure', 'x-federation-whole'],
  ],
  /** By the link, which is HTTP/2: names in lower case, no reason phrase, headers of one name behind one another. */
  link: 'lower case, no reason phrase',
} as const;

export interface WireCase {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Sent as these pieces, without a length where there are several. */
  readonly body?: string | Buffer | readonly (string | Buffer)[];
  readonly reply: (response: ServerResponse, request: SeenRequest) => void | Promise<void>;
}

/** What a client got, and what was left out is left out. */
export interface Got {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Each byte as one character. */
  readonly body: string;
  /** Whether it ended as a whole answer does. */
  readonly isWhole: boolean;
}

/** Asks as a case says. Rejects where no answer began. */
export function send(port: number, key: string, wire: WireCase): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  const { method = 'POST', path = '/v1/chat/completions', headers = {}, body } = wire;
  const isBare = body === undefined;
  const asking = httpRequest({
    ...{ host: '127.0.0.1', port, method, path, agent: false },
    headers: {
      authorization: `Bearer ${key}`,
      ...(isBare ? {} : { 'content-type': 'application/json' }),
      ...(isBare || Array.isArray(body) ? {} : { 'content-length': Buffer.byteLength(body as string) }),
      ...headers,
    },
  });
  asking.on('error', reject);
  asking.on('response', (response) => void collect(response).then(resolve, reject));
  const pieces = isBare ? [] : Array.isArray(body) ? (body as readonly (string | Buffer)[]) : [body as string];
  for (const piece of pieces) asking.write(piece);
  asking.end();
  return promise;
}

async function collect(response: IncomingMessage): Promise<Got> {
  const chunks: Buffer[] = [];
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => response.once('close', resolve));
  return {
    status: response.statusCode ?? 0,
    headers: comparable(response.rawHeaders, EXCEPTIONS.response),
    body: Buffer.concat(chunks).toString('latin1'),
    isWhole: response.complete,
  };
}

/** What of a request is the same however it came. */
export function seenAs({ method, path, rawHeaders, body }: SeenRequest) {
  return { method, path, headers: comparable(rawHeaders, EXCEPTIONS.request), body: body.toString('latin1') };
}

function comparable(raw: readonly string[], except: readonly string[]): (readonly [string, string])[] {
  const pairs = Array.from(
    { length: raw.length / 2 },
    (_, at) => [raw[2 * at]!.toLowerCase(), raw[2 * at + 1]!] as const,
  );
  return pairs.filter(([name]) => !except.includes(name)).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
