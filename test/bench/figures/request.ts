import type { ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:http2';
import { WORKER } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMost, median } from '../figure.ts';
import { startHelper } from '../helper.ts';
import { openDoor } from '../link.ts';

const HEADERS = { ':method': 'GET', ':path': `/invocations/${'0'.repeat(26)}` };

export const request: Figure = {
  name: 'request',
  unit: 'ms',
  what: 'a question that a worker daemon answers from its journal, on a link; floor: bare HTTP/2 to the same process',
  warmUps: 200,
  samples: 2000,
  lines: [{ name: 'p50', of: median, bar: atMost(0.5, 'ms') }],
  async open(bench) {
    const door = await openDoor(bench);
    const worker = await startHelper(bench, 'worker', [await bench.folder(), WORKER, `127.0.0.1:${door.port}`]);
    const bare = connect(`http://127.0.0.1:${await worker.next()}`);
    bench.onEnd(async () => bare.destroy());
    const link = await door.link;
    return {
      ours: () => timed(() => link.request(HEADERS)),
      floor: () => timed(() => bare.request(HEADERS)),
    };
  },
};

async function timed(ask: () => ClientHttp2Stream): Promise<number> {
  const startedAt = performance.now();
  let text = '';
  for await (const chunk of ask().setEncoding('utf8')) text += chunk;
  const took = performance.now() - startedAt;
  if (text !== '{"state":"never-started"}') throw new Error(`an answer that was not expected: ${text}`);
  return took;
}
