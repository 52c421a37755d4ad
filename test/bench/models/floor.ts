import type { IncomingHttpHeaders } from 'node:http';
import { Pool } from 'undici';

/** Where an answer goes. */
export interface Passing {
  head(status: number, headers: Record<string, string | string[]>): void;
  data(chunk: Buffer): void;
  end(): void;
  fail(): void;
}

const HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host']);

/** Sends requests on to a port of this machine, with nothing that a proxy should do besides. */
export function dispatcherTo(port: number): (headers: IncomingHttpHeaders, body: Buffer, to: Passing) => void {
  const pool = new Pool(`http://127.0.0.1:${port}`, {
    connections: 256,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return (headers, body, to) => {
    const kept = Object.entries(headers).filter(
      ([name]) => !HOP.has(name) && name !== 'content-length' && !name.startsWith(':'),
    );
    pool.dispatch(
      { method: 'POST', path: '/v1/chat/completions', headers: Object.fromEntries(kept), body },
      {
        onRequestStart: () => undefined,
        onResponseStart(_, status, answered) {
          const passed = Object.entries(answered).filter(([name]) => !HOP.has(name));
          to.head(status, Object.fromEntries(passed) as Record<string, string | string[]>);
        },
        onResponseData: (_, chunk) => to.data(chunk),
        onResponseEnd: () => to.end(),
        onResponseError: () => to.fail(),
      },
    );
  };
}
