import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { buildConnector, Pool } from 'undici';
import type { Deadlines } from '#src/adapters/models/deadlines.ts';
import { createDeadlines } from '#src/adapters/models/deadlines.ts';
import { guardedLookup } from '#src/adapters/models/guarded-lookup.ts';
import type { Flow, Receiver, Send, Sending, Sent } from '#src/core/models/sending.ts';

export interface Sender {
  readonly send: Send;
  close(): Promise<void>;
}

/** Connections to one server: below what the hub takes from one address. */
const MAX_CONNECTIONS = 224;
/** Below the five seconds after which many servers close what is idle. */
const KEEP_ALIVE_MS = 4000;

/** Keeps connections to the servers that requests are sent to. Redirects, cookies and encodings are left as they are. */
export function createSender(): Sender {
  const pools = new Map<string, Pool>();
  const deadlines = createDeadlines();

  function poolOf(origin: string, connectMs: number): Pool {
    const key = `${connectMs} ${origin}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    const pool = new Pool(origin, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      connect: connectorOf(connectMs, deadlines),
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 64 * 1024,
    });
    pools.set(key, pool);
    return pool;
  }

  return {
    send: (sending, receiver) =>
      sendBy(poolOf(sending.origin, sending.timeouts.connectMs), deadlines, sending, receiver),
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}

/** undici's own clock ticks twice a second, which is too coarse for a second and a half. */
function connectorOf(connectMs: number, deadlines: Deadlines): buildConnector.connector {
  const connect = buildConnector({ timeout: 0, allowH2: false, lookup: guardedLookup });
  return (options, callback) => {
    const late = deadlines.create(() => socket.destroy(new Error('ETIMEDOUT')));
    late.set(connectMs);
    const socket = connect(
      options,
      (...answer: buildConnector.Callback extends (...args: infer A) => void ? A : never) => {
        late.clear();
        callback(...answer);
      },
    ) as unknown as Socket;
  };
}

function sendBy(pool: Pool, deadlines: Deadlines, sending: Sending, receiver: Receiver): Sent {
  const { method, path, headers, body, length, timeouts } = sending;
  let controller: Dispatcher.DispatchController | null = null;
  let state: 'waiting' | 'answering' | 'over' = 'waiting';
  let isEvents = false;
  let isPaused = false;
  const sentAt = performance.now();
  const watch = deadlines.create(late);
  watch.set(timeouts.connectMs + timeouts.firstByteMs);
  const total = timeouts.totalMs === null ? null : deadlines.create(late);
  if (timeouts.totalMs !== null) total?.set(timeouts.totalMs);

  function over(): void {
    state = 'over';
    watch.clear();
    total?.clear();
  }

  function late(): void {
    fail('ETIMEDOUT', true);
  }

  function fail(problem: string, isLate: boolean): void {
    if (state === 'over') return;
    const kind = state === 'answering' ? 'truncated' : isLate ? 'first-byte' : 'connect';
    over();
    controller?.abort(new Error(problem));
    receiver.fail({ kind, problem });
  }

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(given) {
      controller = given;
      if (state === 'over') given.abort(new Error('given up'));
      else receiver.connected?.(performance.now() - sentAt);
    },
    onRequestSent() {
      if (state === 'waiting') watch.set(timeouts.firstByteMs);
    },
    onResponseStart(given, status, _headers, reason = '') {
      if (status < 200 || state !== 'waiting') return;
      state = 'answering';
      if (isPaused) watch.clear();
      else watch.set(timeouts.idleMs);
      const raw = textsOf(given.rawHeaders as Buffer[]);
      isEvents = isEventStream(raw);
      receiver.head(status, reason, raw);
      if (isPaused) given.pause();
    },
    onResponseData(_, chunk) {
      if (state === 'over') return;
      if (!isPaused && (!isEvents || !isComment(chunk))) watch.set(timeouts.idleMs);
      receiver.data(chunk);
    },
    onResponseEnd() {
      if (state === 'over') return;
      over();
      receiver.end();
    },
    onResponseError(_, error: Error & { readonly code?: string }) {
      fail(error.code ?? error.message, false);
    },
  };

  try {
    pool.dispatch(
      {
        method,
        path,
        headers: length === null ? (headers as string[]) : [...headers, 'content-length', String(length)],
        body: body === null || Buffer.isBuffer(body) ? body : through(body),
      },
      handler,
    );
  } catch (error) {
    // Of what it refuses to send, such as a header that is none.
    const problem = error instanceof Error ? error.message : String(error);
    queueMicrotask(() => fail(problem, false));
  }

  return {
    pause() {
      if (isPaused) return;
      isPaused = true;
      // The server is not what is waited for now.
      if (state === 'answering') watch.clear();
      controller?.pause();
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      if (state === 'answering') watch.set(timeouts.idleMs);
      controller?.resume();
    },
    abort() {
      if (state === 'over') return;
      over();
      controller?.abort(new Error('given up'));
    },
  };
}

/** undici destroys the body that it is given, and this one may be half of a connection whose other half is in use. */
function through(body: Flow): Readable {
  const carried = new PassThrough();
  body.once('close', () => {
    if (!body.readableEnded) carried.destroy(new Error('the request broke off'));
  });
  return body.pipe(carried);
}

function textsOf(raw: readonly Buffer[]): string[] {
  return raw.map((bytes) => bytes.toString('latin1'));
}

function isEventStream(raw: readonly string[]): boolean {
  for (let at = 0; at < raw.length; at += 2) {
    if (raw[at]!.length === 12 && raw[at]!.toLowerCase() === 'content-type')
      return raw[at + 1]!.startsWith('text/event-stream');
  }
  return false;
}

const COLON = 0x3a;

/** Whether a part of a stream of events is comments alone, which say nothing but that the server lives. */
function isComment(chunk: Buffer): boolean {
  return chunk[0] === COLON && chunk.length < 1024 && !/^[^:\r\n]/m.test(chunk.toString('latin1'));
}
