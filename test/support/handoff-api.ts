import type { ServerHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { createWorkerApi } from '#src/worker/api.ts';
import type { WorkerApiOptions } from '#src/worker/api.ts';

/** The worker's side of a link of which only the handoffs are there. */
export function handoffApi(
  handoffs: WorkerApiOptions['handoffs'],
): (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void {
  const absent = (): never => {
    throw new Error('not part of this test');
  };
  return createWorkerApi({
    executor: {
      run: absent,
      state: absent,
      cancel: absent,
      endAll: async () => undefined,
      running: 0,
      hold: absent,
      lockDown: () => undefined,
    },
    files: { serve: absent, lockDown: () => undefined, endAll: () => undefined },
    tools: { call: absent, lockDown: () => undefined },
    models: null,
    handoffs,
    knownEpoch: () => 5,
  });
}
