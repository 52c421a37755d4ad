import { once } from 'node:events';
import { connect } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive } from '#src/hub/models/alive.ts';
import type { Link } from '#src/link/accept.ts';

/** Answers every request, however busy this thread is. */
const NODE = `
const { createServer } = require('node:http2');
const { parentPort } = require('node:worker_threads');
const server = createServer().listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
server.on('stream', (stream) => stream.respond({ ':status': 204 }, { endStream: true }));
`;

test('a node that answered while the hub was busy is not taken for dead', async () => {
  const node = new Worker(NODE, { eval: true });
  onTestFinished(() => void node.terminate());
  const [port] = (await once(node, 'message')) as [number];
  const session = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  await once(session, 'remoteSettings');
  const answer = isAlive(session as unknown as Link);
  // Until it is written.
  for (let at = 0; at < 5; at++) await turn();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
  expect(await answer).toBe(true);
});
