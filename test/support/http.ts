import type { IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Of the text; undefined where there is none, or it is not JSON. */
  readonly json: unknown;
}

/** A request as it is given, and its whole answer. Rejects when the connection ends before that. */
export async function ask(options: RequestOptions, body?: string | Buffer): Promise<Answer> {
  const response = await open(options, body);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) };
}

/** The response as soon as its head has come. */
export function open(options: RequestOptions, body?: string | Buffer): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asking = request({ agent: false, ...options });
  asking.on('response', resolve);
  asking.on('error', reject);
  // Node says it of itself for some methods only, and a body without it is the beginning of another request.
  const isFramed = asking.hasHeader('content-length') || asking.hasHeader('transfer-encoding');
  if (body !== undefined && !isFramed) asking.setHeader('content-length', Buffer.byteLength(body));
  asking.end(body);
  return promise;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
