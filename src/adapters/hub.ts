import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { basename, dirname, join } from 'node:path';
import type { ErrorBody } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import { HUB_RECORD_FILE } from '#src/core/hub-record.ts';

export type Method = 'GET' | 'POST' | 'PUT';

/** The hub of a home, over its operator's socket. All methods throw HUB_UNREACHABLE, HOME_UNUSABLE, and what the hub answers. */
export interface HubClient {
  readonly record: HubRecord;
  /** One question, one JSON answer. The hub's word is believed: it is the same package. */
  ask<T>(method: Method, path: string, body?: object): Promise<T>;
  /** The response as it streams in; its status has been looked at. */
  open(method: Method, path: string, body: object, signal: AbortSignal): Promise<IncomingMessage>;
  /** Sends `input` as a body, however long it takes to come. */
  send(path: string, input: NodeJS.ReadableStream, signal: AbortSignal): Promise<void>;
}

/** A hub that is there answers in far less; revoking waits for a node for a moment. */
const ANSWER_MS = 60_000;

/** Finds the hub that runs with this home. Throws HUB_UNREACHABLE, or HOME_UNUSABLE where it is another user's. */
export async function findHub(home: string): Promise<HubClient> {
  const record = await readRecord(home);

  function start(method: Method, path: string, type: string | null, signal?: AbortSignal) {
    return request({
      socketPath: record.operator,
      method,
      path,
      headers: { host: 'localhost', ...(type === null ? {} : { 'content-type': type }) },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async function open(
    method: Method,
    path: string,
    body: object | undefined,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const asking = start(method, `/api/v1${path}`, body === undefined ? null : 'application/json', signal);
    const answered = answerOf(asking, home);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
    const response = await answered;
    if ((response.statusCode ?? 500) < 400) return response;
    throw refusal(await textOf(response));
  }

  return {
    record,
    open,
    async ask<T>(method: Method, path: string, body?: object) {
      const text = await textOf(await open(method, path, body, AbortSignal.timeout(ANSWER_MS)));
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async send(path, input, signal) {
      const sending = start('PUT', `/api/v1${path}`, 'application/octet-stream', signal);
      const answered = answerOf(sending, home);
      input.pipe(sending);
      const response = await answered;
      response.resume();
    },
  };
}

async function readRecord(home: string): Promise<HubRecord> {
  try {
    return JSON.parse(await readFile(join(home, HUB_RECORD_FILE), 'utf8')) as HubRecord;
  } catch (cause) {
    throw unreachable(home, cause);
  }
}

function answerOf(asking: ReturnType<typeof request>, home: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  asking.once('response', resolve);
  asking.once('error', (cause) => reject(unreachable(home, cause)));
  return promise;
}

function unreachable(home: string, cause: unknown): FederationError {
  if ((cause as NodeJS.ErrnoException).code === 'EACCES') {
    return new FederationError('HOME_UNUSABLE', `${home} belongs to another user`, {
      hint: 'run this as that user',
      cause,
    });
  }
  return new FederationError('HUB_UNREACHABLE', `no hub answers for ${home}`, {
    hint: `start it (${startOf(home)}), or name its home with --home`,
    cause,
  });
}

/** What starts the hub of this home: `local` where it made it. */
function startOf(home: string): string {
  const folder = dirname(home);
  const isLocal = basename(home) === 'master' && ['local.json', 'w1'].some((name) => existsSync(join(folder, name)));
  return isLocal ? `deploy-federation local --dir ${folder}` : `federation-hub --home ${home}`;
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
