import type { IncomingMessage, RequestOptions } from 'node:http';
import { request } from 'node:http';
import type { ErrorBody } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A hub, as its operator. All methods throw HUB_UNREACHABLE, what the hub answers, and why it can't be asked. */
export interface HubApi {
  /** One question, one JSON answer. The hub's word is believed: it is the same package. */
  ask<T>(method: Method, path: string, body?: object, signal?: AbortSignal, withinMs?: number): Promise<T>;
  /** Puts bytes, however long they take to come, and takes the JSON answer. */
  put<T>(path: string, bytes: Uint8Array | SizedStream, signal: AbortSignal): Promise<T>;
  /** The response as it streams in; its status has been looked at. */
  open(method: Method, path: string, body: object | undefined, signal: AbortSignal): Promise<IncomingMessage>;
  /** Sends `input` as a body, however long it takes to come. */
  send(path: string, input: NodeJS.ReadableStream, signal: AbortSignal): Promise<void>;
  /** What the model proxy answers below `/v1`, whatever its status: it speaks the language of model servers. */
  model(path: string, body: object, signal: AbortSignal): Promise<IncomingMessage>;
}

/** Bytes of which it is known how many they are. */
export interface SizedStream {
  readonly size: number;
  readonly stream: NodeJS.ReadableStream;
}

/** How a request reaches the hub. */
export interface Way {
  readonly to: Pick<RequestOptions, 'socketPath' | 'host' | 'port' | 'agent'>;
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when nothing goes by it any more: what is under way ends with it. */
  readonly lost?: AbortSignal;
}

/** What a failed request means to a person. */
export type Explain = (cause: unknown) => Promise<FederationError>;

/** A hub that is there answers in far less; revoking waits for a node for a moment. */
const ANSWER_MS = 60_000;

/** A hub by a way that is found anew for each request; `base` is what stands before all of its paths. */
export function hubThrough(findWay: () => Promise<Way>, explain: Explain, base = '/api/v1'): HubApi {
  async function start(method: Method, path: string, type: string | null, signal?: AbortSignal, below = base) {
    const { to, headers, lost } = await findWay();
    const signals = [signal, lost].filter((one) => one !== undefined);
    return request({
      ...to,
      method,
      path: `${below}${path}`,
      headers: { ...headers, ...(type === null ? {} : { 'content-type': type }) },
      ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
    });
  }

  async function open(
    method: Method,
    path: string,
    body: object | undefined,
    signal?: AbortSignal,
    withinMs = ANSWER_MS,
  ): Promise<IncomingMessage> {
    const asking = await start(method, path, body === undefined ? null : 'application/json', signal);
    const answered = answerOf(asking, explain);
    // A socket that systemd made takes requests also while the hub behind it can't be started.
    const late = setTimeout(() => asking.destroy(new Error('no answer')), withinMs);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
    const response = await answered.finally(() => clearTimeout(late));
    if ((response.statusCode ?? 500) < 400) return response;
    throw refusal(await textOf(response));
  }

  return {
    open,
    async ask<T>(method: Method, path: string, body?: object, signal?: AbortSignal, withinMs = ANSWER_MS) {
      const inTime = AbortSignal.timeout(withinMs);
      const over = signal === undefined ? inTime : AbortSignal.any([signal, inTime]);
      const text = await textOf(await open(method, path, body, over, withinMs));
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async put<T>(path: string, bytes: Uint8Array | SizedStream, signal: AbortSignal) {
      const sending = await start('PUT', path, 'application/octet-stream', signal);
      const answered = answerOf(sending, explain);
      if (bytes instanceof Uint8Array) {
        sending.end(bytes);
      } else {
        sending.setHeader('content-length', bytes.size);
        pourInto(sending, bytes.stream, bytes.size);
      }
      const response = await answered;
      const text = await textOf(response);
      if ((response.statusCode ?? 500) >= 400) throw refusal(text);
      return JSON.parse(text) as T;
    },
    async model(path, body, signal) {
      const asking = await start('POST', path, 'application/json', signal, '/v1');
      const answered = answerOf(asking, explain);
      asking.end(JSON.stringify(body));
      return answered;
    },
    async send(path, input, signal) {
      const sending = await start('PUT', path, 'application/octet-stream', signal);
      const answered = answerOf(sending, explain);
      pourInto(sending, input, null);
      const response = await answered;
      response.resume();
    },
  };
}

const SEND_AGAIN = { hint: 'look at the file, and send it again' };

/** What can't be read, or is not of the size that was announced, ends the request, and is the reason why. */
function pourInto(sending: ReturnType<typeof request>, input: NodeJS.ReadableStream, size: number | null): void {
  let left = size ?? 0;
  if (size !== null) {
    input.on('data', (chunk: Buffer | string) => (left -= Buffer.byteLength(chunk)));
    input.once('end', () => {
      // The other side would wait for the rest of it.
      if (left > 0) sending.destroy(new FederationError('USAGE', 'it became shorter while it was sent', SEND_AGAIN));
    });
  }
  input.once('error', (cause: NodeJS.ErrnoException) => {
    const problem = `what is to be sent can’t be read (${cause.code ?? cause.message})`;
    sending.destroy(new FederationError('USAGE', problem, { ...SEND_AGAIN, cause }));
  });
  input.pipe(sending);
}

function answerOf(asking: ReturnType<typeof request>, explain: Explain): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  asking.once('response', resolve);
  asking.once('error', (cause) => {
    if (cause instanceof FederationError) reject(cause);
    else void explain(cause).then(reject, reject);
  });
  return promise;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (cause) {
    throw new FederationError('HUB_UNREACHABLE', 'the hub went away in the middle of its answer', {
      hint: 'look whether it runs: manage-federation status',
      cause,
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}

function refusal(text: string): FederationError {
  try {
    const { code, message, hint } = JSON.parse(text) as ErrorBody;
    return new FederationError(code, message, hint === undefined ? {} : { hint });
  } catch (cause) {
    return new FederationError('HUB_UNREACHABLE', 'something else than a hub answers', { cause });
  }
}
