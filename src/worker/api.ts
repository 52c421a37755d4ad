import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { errorBody, FederationError } from '#src/core/errors.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import { answerError, answerJson } from '#src/worker/answer.ts';
import type { Executor } from '#src/worker/exec.ts';

export interface WorkerApiOptions {
  readonly executor: Executor;
  /** The newest epoch of a hub that this worker has heard of. */
  readonly knownEpoch: () => number;
}

/** Answers one request of the hub; for the `stream` event of the link's HTTP/2 session. Never throws. */
export type WorkerApi = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 *     POST   /exec               the executor's
 *     GET    /invocations/{id}   InvocationState
 *     DELETE /invocations/{id}   ends it, also where `cancel` waits behind stdin that nobody reads; 202, or 404
 *     POST   /revoke             200 when nothing runs any more
 */
export function createWorkerApi({ executor, knownEpoch }: WorkerApiOptions): WorkerApi {
  function route(stream: ServerHttp2Stream, method: string, path: string): void | Promise<void> {
    const id = /^\/invocations\/([0-9A-Z]{26})$/.exec(path)?.[1];
    if (method === 'POST' && path === '/exec') return executor.run(stream);
    stream.resume();
    if (method === 'GET' && id !== undefined) return answerJson(stream, 200, executor.state(id));
    if (method === 'DELETE' && id !== undefined && executor.cancel(id)) return answerJson(stream, 202, {});
    if (method === 'POST' && path === '/revoke') return revoke(stream);
    answerError(stream, 404, { code: 'NOT_FOUND', message: `no ${method} ${path} here` });
  }

  async function revoke(stream: ServerHttp2Stream): Promise<void> {
    await executor.endAll('revoked');
    answerJson(stream, 200, {});
  }

  return (stream, headers) => {
    stream.on('error', () => undefined);
    void answer(stream, () => {
      checkEpoch(headers[EPOCH_HEADER], knownEpoch());
      return route(stream, headers[':method'] ?? '', headers[':path'] ?? '');
    });
  };
}

/** Only the acting hub may ask for anything: one that was replaced names an older epoch. */
function checkEpoch(header: string | string[] | undefined, known: number): void {
  if (typeof header !== 'string' || !/^[1-9][0-9]{0,14}$/.test(header)) {
    throw new FederationError('USAGE', `the request has no ${EPOCH_HEADER}`);
  }
  if (Number(header) < known) {
    throw new FederationError('EPOCH_STALE', `epoch ${header} is over, ${known} is the hub's`);
  }
}

async function answer(stream: ServerHttp2Stream, work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const body = errorBody(error);
    stream.resume();
    answerError(stream, STATUS[body.code] ?? 500, body);
  }
}

const STATUS: Readonly<Record<string, number>> = { USAGE: 400, EPOCH_STALE: 409 };
