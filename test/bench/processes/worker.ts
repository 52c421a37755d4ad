import { spawn } from 'node:child_process';
import { performServerHandshake } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { openHome } from '#src/adapters/home.ts';
import { createLog } from '#src/adapters/log.ts';
import { loadSettings } from '#src/adapters/settings-file.ts';
import { startWorker } from '#src/worker/main.ts';

/**
 *     worker.ts HOME NAME HUB
 *
 * A worker daemon, and in the same process what it is measured against. It prints the port of a server of bare
 * HTTP/2, and for each line `spawn` the milliseconds that a bare process took.
 */
const [path = '', name, hub] = process.argv.slice(2);

const home = await openHome(path);
const settings = await loadSettings(home, { name, worker: { hub } });
const worker = await startWorker(home, settings, createLog({ level: 'info', module: 'worker' }));

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  performServerHandshake(socket)
    .on('error', () => undefined)
    .on('stream', (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      stream.end(JSON.stringify({ state: 'never-started' }));
    });
});
server.listen(0, '127.0.0.1', () => print((server.address() as AddressInfo).port));

for await (const line of createInterface(process.stdin)) {
  if (line === 'spawn') print(await bareSpawn());
}
server.close();
await worker.close();
process.exit();

function bareSpawn(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const startedAt = performance.now();
  const child = spawn('/bin/true');
  child.stdout.resume();
  child.stderr.resume();
  child.on('error', reject);
  child.on('close', () => resolve(performance.now() - startedAt));
  return promise;
}

function print(value: number): void {
  process.stdout.write(`${value}\n`);
}
