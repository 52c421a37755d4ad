import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { isRunning } from '#src/adapters/process/start-time.ts';
import { ownerOf } from '#src/adapters/unix-socket.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import { HUB_RECORD_FILE } from '#src/core/hub-record.ts';

export type Method = 'GET' | 'POST' | 'PUT';

/** A hub, over its operator's socket. All methods throw HUB_UNREACHABLE, what the hub answers, and what says that it is another user's. */
export interface HubApi {
  /** One question, one JSON answer. The hub's word is believed: it is the same package. */
  ask<T>(method: Method, path: string, body?: object, signal?: AbortSignal): Promise<T>;
  /** The response as it streams in; its status has been looked at. */
  open(method: Method, path: string, body: object | undefined, signal: AbortSignal): Promise<IncomingMessage>;
  /** Sends `input` as a body, however long it takes to come. */
  send(path: string, input: NodeJS.ReadableStream, signal: AbortSignal): Promise<void>;
}

/** The hub of a home that this user can read. */
export interface HubClient extends HubApi {
  readonly record: HubRecord;
}

/** Finds the hub that runs with this home. Throws HUB_UNREACHABLE, or HOME_UNUSABLE where it is another user's. */
export async function findHub(home: string): Promise<HubClient> {
  const record = await readRecord(home);
  return { record, ...hubBehind(record.operator, async (cause) => unreachable(home, cause)) };
}

/** Where the hub of the whole machine is, which runs as a system service. */
export interface MachineHub {
  readonly socket: string;
  /** There while it is deployed, whether it runs or not. */
  readonly unit: string;
}

const MACHINE_HUB: MachineHub = {
  socket: '/run/openclaw-federation/operator.sock',
  unit: '/etc/systemd/system/federation-hub.socket',
};

/** Whether a user who names no home means the machine's hub: there is one, and none of their own runs with `home`. */
export function isMachineHubMeant(home: string, { socket, unit }: MachineHub = MACHINE_HUB): boolean {
  return (existsSync(socket) || existsSync(unit)) && !hasRunningHub(home);
}

/** What a hub that was killed left behind does not count. */
function hasRunningHub(home: string): boolean {
  try {
    const { pid } = JSON.parse(readFileSync(join(home, HUB_RECORD_FILE), 'utf8')) as HubRecord;
    return isRunning(pid, null);
  } catch {
    return false;
  }
}

/** The hub of this machine. Its methods throw FORBIDDEN where the operator is somebody else. */
export function machineHub({ socket }: MachineHub = MACHINE_HUB): HubApi {
  return hubBehind(socket, async (cause) => {
    if ((cause as NodeJS.ErrnoException).code === 'EACCES') return await foreign(socket, cause);
    return new FederationError('HUB_UNREACHABLE', 'the hub of this machine does not answer', {
      hint: 'systemctl status federation-hub',
      cause,
    });
  });
}

async function foreign(socket: string, cause: unknown): Promise<FederationError> {
  const owner = await ownerOf(socket).catch(() => 'another user');
  return new FederationError('FORBIDDEN', `the hub of this machine is operated by ${owner}`, {
    hint: `run this as ${owner}, or as root`,
    cause,
  });
}

/** A hub that is there answers in far less; revoking waits for a node for a moment. */
const ANSWER_MS = 60_000;

/** What a failed request means to a person. */
type Explain = (cause: unknown) => Promise<FederationError>;

function hubBehind(socketPath: string, explain: Explain): HubApi {
  function start(method: Method, path: string, type: string | null, signal?: AbortSignal) {
    return request({
      socketPath,
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
    const answered = answerOf(asking, explain);
    // A socket that systemd made takes requests also while the hub behind it can't be started.
    const late = setTimeout(() => asking.destroy(new Error('no answer')), ANSWER_MS);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
    const response = await answered.finally(() => clearTimeout(late));
    if ((response.statusCode ?? 500) < 400) return response;
    throw refusal(await textOf(response));
  }

  return {
    open,
    async ask<T>(method: Method, path: string, body?: object, signal?: AbortSignal) {
      const inTime = AbortSignal.timeout(ANSWER_MS);
      const over = signal === undefined ? inTime : AbortSignal.any([signal, inTime]);
      const text = await textOf(await open(method, path, body, over));
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async send(path, input, signal) {
      const sending = start('PUT', `/api/v1${path}`, 'application/octet-stream', signal);
      const answered = answerOf(sending, explain);
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

function answerOf(asking: ReturnType<typeof request>, explain: Explain): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  asking.once('response', resolve);
  asking.once('error', (cause) => void explain(cause).then(reject, reject));
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
