import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { errorBody, FederationError } from '#src/core/errors.ts';
import { fromHttp2 } from '#src/link/models/http2-headers.ts';
import { MODELS_PATH } from '#src/protocol/models.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import { answerError, answerJson } from '#src/worker/answer.ts';
import type { Executor } from '#src/worker/exec.ts';
import type { Files } from '#src/worker/files/files.ts';
import type { NodeHandoffs } from '#src/worker/handoffs/open.ts';
import type { NodeModels } from '#src/worker/models/models.ts';
import { answerGone } from '#src/worker/models/serve.ts';
import type { Tools } from '#src/worker/tools.ts';

export interface WorkerApiOptions {
  readonly executor: Executor;
  readonly files: Files;
  readonly tools: Tools;
  /** Null where this node shares none. */
  readonly models: Pick<NodeModels, 'serve' | 'endAll' | 'lockDown'> | null;
  /** Null where none of its agents takes them. */
  readonly handoffs: Pick<NodeHandoffs, 'takes' | 'serve' | 'endAll' | 'lockDown'> | null;
  /** The newest epoch of a hub that this worker has heard of. */
  readonly knownEpoch: () => number;
}

/** Answers one request of the hub; for the `stream` event of the link's HTTP/2 session. Never throws. */
export type WorkerApi = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw?: readonly string[]) => void;

/**
 *     POST   /exec               the executor's
 *     GET    /invocations/{id}   InvocationState
 *     DELETE /invocations/{id}   ends it, also where `cancel` waits behind stdin that nobody reads; 202, or 404
 *     POST   /files/read         the bytes of a file; see protocol/files.ts
 *     POST   /files/write        takes them
 *     POST   /tools              calls a tool, or agrees to a command of the node host; see protocol/tools.ts
 *     ANY    /models/…           a model server of this node; see worker/models/serve.ts
 *     ANY    /handoffs…          POST /messages: its agents; see protocol/handoffs.ts
 *     POST   /revoke             200 when nothing runs any more
 *     POST   /lockdown           the same, and nothing is run until it is lifted
 *     DELETE /lockdown           lifts it; 200. A hub of a newer epoch that says nothing of it has lifted it, too
 */
export function createWorkerApi({ executor, files, tools, models, handoffs, knownEpoch }: WorkerApiOptions): WorkerApi {
  /** Epoch of the hub that locked this node down. */
  let lockedIn: number | null = null;

  function route(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    epoch: number,
    raw: readonly string[],
  ): void | Promise<void> {
    const { ':method': method = '', ':path': path = '' } = headers;
    if (lockedIn !== null && epoch > lockedIn) lockDown(null);
    const id = /^\/invocations\/([0-9A-Z]{26})$/.exec(path)?.[1];
    if (method === 'POST' && path === '/exec') return executor.run(stream);
    if (path.startsWith(MODELS_PATH)) {
      return models === null || lockedIn !== null ? answerGone(stream) : models.serve(stream, headers, raw);
    }
    if (method === 'POST' && path === '/tools') return tools.call(stream);
    if (method === 'POST' && path === '/files/read') return files.serve('read', stream, headers);
    if (method === 'POST' && path === '/files/write') return files.serve('write', stream, headers);
    if (handoffs?.takes(path) === true) return handoffs.serve(method, path, stream);
    stream.resume();
    if (method === 'GET' && id !== undefined) return answerJson(stream, 200, executor.state(id));
    if (method === 'DELETE' && id !== undefined && executor.cancel(id)) return answerJson(stream, 202, {});
    if (method === 'POST' && path === '/revoke') return endAll(stream, 'revoked');
    if (method === 'POST' && path === '/lockdown') {
      lockDown(epoch);
      return endAll(stream, 'cancelled');
    }
    if (method === 'DELETE' && path === '/lockdown') {
      lockDown(null);
      return answerJson(stream, 200, {});
    }
    answerError(stream, 404, { code: 'NOT_FOUND', message: `no ${method} ${path} here` });
  }

  async function endAll(stream: ServerHttp2Stream, reason: 'revoked' | 'cancelled'): Promise<void> {
    files.endAll();
    models?.endAll();
    await Promise.all([executor.endAll(reason), handoffs?.endAll()]);
    answerJson(stream, 200, {});
  }

  function lockDown(epoch: number | null): void {
    lockedIn = epoch;
    executor.lockDown(epoch !== null);
    files.lockDown(epoch !== null);
    tools.lockDown(epoch !== null);
    models?.lockDown(epoch !== null);
    handoffs?.lockDown(epoch !== null);
  }

  return (stream, headers, raw = fromHttp2(headers)) => {
    stream.on('error', () => undefined);
    void answer(stream, headers[':path'] ?? '', () => {
      const epoch = checkedEpoch(headers[EPOCH_HEADER], knownEpoch());
      return route(stream, headers, epoch, raw);
    });
  };
}

/** Only the acting hub may ask for anything: one that was replaced names an older epoch. */
function checkedEpoch(header: string | string[] | undefined, known: number): number {
  if (typeof header !== 'string' || !/^[1-9][0-9]{0,14}$/.test(header)) {
    throw new FederationError('USAGE', `the request has no ${EPOCH_HEADER}`);
  }
  if (Number(header) < known) {
    throw new FederationError('EPOCH_STALE', `epoch ${header} is over, ${known} is the hub's`);
  }
  return Number(header);
}

async function answer(stream: ServerHttp2Stream, path: string, work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    // What a client gets as the words of a model server are no words of ours.
    if (path.startsWith(MODELS_PATH)) return answerGone(stream);
    const body = errorBody(error);
    stream.resume();
    answerError(stream, STATUS[body.code] ?? 500, body);
  }
}

const STATUS: Readonly<Record<string, number>> = {
  USAGE: 400,
  HANDOFF_NOT_FOUND: 404,
  AGENT_NOT_FOUND: 404,
  NOT_FOUND: 404,
  EPOCH_STALE: 409,
  HANDOFF_CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  QUEUE_FULL: 503,
};
