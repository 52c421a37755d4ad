import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ErrorBody } from '#src/core/errors.ts';

/** A hub as its client sees it, which answers what a test tells it. */
export interface ScriptedHub {
  /** What `--home` takes. */
  readonly home: string;
  /** By method and path behind /api/v1; what has `code` is a refusal. */
  readonly answers: Map<string, object | (() => object)>;
  /** Method and path of all that was asked, in its order. */
  readonly asked: readonly string[];
  /** Tells everybody who listens. */
  announce(event: string, data: object): void;
  close(): Promise<void>;
}

export async function scriptedHub(): Promise<ScriptedHub> {
  const home = await mkdtemp(join(tmpdir(), 'ocf-hub-'));
  const operator = join(home, 'operator.sock');
  const answers: ScriptedHub['answers'] = new Map();
  const asked: string[] = [];
  const listening = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    const what = `${request.method} ${(request.url ?? '').replace('/api/v1', '')}`;
    asked.push(what);
    request.resume();
    if (what === 'GET /events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': from here on\n\n');
      listening.add(response);
      return;
    }
    const scripted = answers.get(what) ?? { code: 'NOT_FOUND', message: `${what} is not scripted` };
    const answer = typeof scripted === 'function' ? (scripted as () => object)() : scripted;
    const isRefusal = typeof (answer as Partial<ErrorBody>).code === 'string';
    response.writeHead(isRefusal ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  server.listen(operator);
  await once(server, 'listening');
  const record = { pid: process.pid, operator, address: '127.0.0.1', port: 1, hubId: 'a'.repeat(64) };
  await writeFile(join(home, 'hub.json'), JSON.stringify(record));
  return {
    home,
    answers,
    asked,
    announce(event, data) {
      for (const response of listening) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(home, { recursive: true });
    },
  };
}
