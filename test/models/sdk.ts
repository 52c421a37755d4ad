import type { ServerResponse } from 'node:http';
import { answerAsModel } from '../support/model-answers.ts';
import type { Entrance } from '../support/model-chain.ts';
import type { ModelHandler, ModelServer, SeenRequest } from '../support/model-server.ts';
import { EXCEPTIONS, seenAs } from './wire.ts';
import { DATE } from './wire-replies.ts';

export type Reply = (response: ServerResponse) => void | Promise<void>;

/** One use of an official client, from its call to what it gave back or threw. */
export interface SdkCall<Client> {
  readonly name: string;
  /** Of the upstream, in their order, the last for all that follow. Without any it answers as a model does. */
  readonly replies?: readonly Reply[];
  /** How often the client tries again by itself. */
  readonly retries?: number;
  readonly timeoutMs?: number;
  /** Requests that the upstream will see broken off. */
  readonly aborts?: number;
  /** `isAsked` resolves when the upstream has the request. */
  run(client: Client, isAsked: Promise<void>): Promise<unknown>;
}

/** Where a client is sent to, and how it is to behave there. */
export interface SdkSetting {
  readonly baseUrl: string;
  readonly key: string;
  readonly retries: number;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
}

/** What both ends of a call had before them. */
export interface Observed {
  readonly requests: readonly (ReturnType<typeof seenAs> & { readonly aborted: boolean })[];
  readonly answers: readonly { readonly status: number; readonly headers: readonly (readonly [string, string])[] }[];
  readonly outcome: { readonly returned: unknown } | { readonly threw: unknown };
}

/** Longer than anything takes that is not meant to be late. */
const TIMEOUT_MS = 25_000;

/** Without any proxy, and then by those that begin at `entrance`. */
export async function observeBoth<Client>(
  upstream: ModelServer,
  entrance: Entrance,
  clientOf: (setting: SdkSetting) => Client,
  call: SdkCall<Client>,
): Promise<{ readonly straight: Observed; readonly carried: Observed }> {
  const straight = await observe(upstream, { port: upstream.port, key: 'sk-direct' }, clientOf, call);
  return { straight, carried: await observe(upstream, entrance, clientOf, call) };
}

/** Of a client that does nothing twice by itself. */
export function settingFor({ port, key }: Entrance): SdkSetting {
  return { baseUrl: `http://127.0.0.1:${port}/v1`, key, retries: 0, timeoutMs: TIMEOUT_MS, fetch };
}

async function observe<Client>(
  upstream: ModelServer,
  entrance: Entrance,
  clientOf: (setting: SdkSetting) => Client,
  call: SdkCall<Client>,
): Promise<Observed> {
  const before = upstream.requests.length;
  const abortedBefore = upstream.requests.filter(({ aborted }) => aborted).length;
  const answers: Observed['answers'][number][] = [];
  const asked = Promise.withResolvers<void>();
  const replies = [...(call.replies ?? [])];
  upstream.otherwise = async (request, response) => {
    asked.resolve();
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    await (reply === undefined ? asModel(request, response) : reply(response));
  };
  const client = clientOf({
    ...settingFor(entrance),
    retries: call.retries ?? 0,
    timeoutMs: call.timeoutMs ?? TIMEOUT_MS,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      answers.push({ status: response.status, headers: answerHeaders(response) });
      return response;
    },
  });
  const outcome = await outcomeOf(() => call.run(client, asked.promise));
  await upstream.untilAborted(abortedBefore + (call.aborts ?? 0));
  const requests = upstream.requests.slice(before).map((seen) => ({ ...comparable(seen), aborted: seen.aborted }));
  return { requests, answers, outcome };
}

/** All that a stream gives. */
export async function all<T>(stream: Promise<AsyncIterable<T>> | AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of await stream) items.push(item);
  return items;
}

/** No answer, until the other side goes. */
export const hang: Reply = () => undefined;

/** The beginning of a stream, and then nothing, until the other side goes. */
export const beginAndHang =
  (begin: string): Reply =>
  (response) => {
    response.writeHead(200, { date: DATE, 'content-type': 'text/event-stream' });
    response.write(begin);
  };

const asModel: ModelHandler = (request, response) => {
  response.setHeader('date', DATE);
  return answerAsModel(request, response);
};

async function outcomeOf(run: () => Promise<unknown>): Promise<Observed['outcome']> {
  try {
    return { returned: await run() };
  } catch (error) {
    return { threw: faceOf(error) };
  }
}

/** What a program can tell of an error. */
function faceOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { status, code, type, param, requestID, error: body } = error as Error & Readonly<Record<string, unknown>>;
  return { kind: error.constructor.name, message: error.message, status, code, type, param, requestID, body };
}

function answerHeaders({ headers }: Response): (readonly [string, string])[] {
  return [...headers].filter(([name]) => !(EXCEPTIONS.response as readonly string[]).includes(name));
}

/** The boundary of a form is another one each time. */
function comparable(seen: SeenRequest): ReturnType<typeof seenAs> {
  const one = seenAs(seen);
  const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(seen.headers['content-type'] ?? '')?.[1];
  if (boundary === undefined) return one;
  return {
    ...one,
    headers: one.headers.map(([name, value]) => [name, value.replaceAll(boundary, 'boundary')] as const),
    body: one.body.replaceAll(boundary, 'boundary'),
  };
}
