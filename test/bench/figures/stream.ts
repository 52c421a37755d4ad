import { connect } from 'node:net';
import type { Link } from '#src/link/accept.ts';
import { FRAME, frameReader } from '#src/protocol/frames.ts';
import type { Bench } from '../bench.ts';
import { commandRunner, startHub, startWorker } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atLeastTimes, median } from '../figure.ts';
import { startHelper } from '../helper.ts';
import { openDoor } from '../link.ts';

const BYTES = 256 * 1024 * 1024;

export const stream: Figure = {
  name: 'stream',
  unit: 'MB/s',
  what: '256 MiB of output as frames on a link; floor: the same bytes on a bare socket from the same process',
  warmUps: 1,
  samples: 7,
  lines: [{ name: 'one stream', of: median, bar: atLeastTimes(0.5) }],
  async open(bench) {
    const door = await openDoor(bench);
    const { port } = await startNode(bench, door.port);
    const link = await door.link;
    return { ours: () => timed(() => overLink(link)), floor: () => timed(() => bare(port)) };
  },
};

/** For information: output of a real process, with the hub's hashing and its client behind the link. */
export const path: Figure = {
  name: 'path',
  unit: 'MB/s',
  what: '`head -c 256M /dev/zero` through the hub’s API; floor: the same bytes on a bare socket',
  warmUps: 1,
  samples: 3,
  lines: [{ name: 'one command', of: median, bar: null }],
  async open(bench) {
    const door = await openDoor(bench);
    const { port } = await startNode(bench, door.port);
    const hub = await startHub(bench);
    await startWorker(bench, hub);
    const run = commandRunner(bench, hub);
    return {
      ours: () => timed(() => run(['head', '-c', String(BYTES), '/dev/zero'])),
      floor: () => timed(() => bare(port)),
    };
  },
};

async function startNode(bench: Bench, port: number): Promise<{ port: number }> {
  const node = await startHelper(bench, 'link-node', [port, BYTES]);
  return { port: Number(await node.next()) };
}

async function timed(receive: () => Promise<number>): Promise<number> {
  const startedAt = performance.now();
  const bytes = await receive();
  if (bytes !== BYTES) throw new Error(`${bytes} bytes came`);
  return bytes / 1e3 / (performance.now() - startedAt);
}

function overLink(link: Link): Promise<number> {
  let bytes = 0;
  const reader = frameReader((frame) => {
    if (frame.type === FRAME.stdout) bytes += frame.payload.length;
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  link
    .request({ ':method': 'GET', ':path': '/' })
    .on('data', (chunk: Buffer) => reader.push(chunk))
    .on('error', reject)
    .on('end', () => resolve(bytes));
  return promise;
}

function bare(port: number): Promise<number> {
  let bytes = 0;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  connect(port, '127.0.0.1')
    .on('data', (chunk: Buffer) => (bytes += chunk.length))
    .on('error', reject)
    .on('end', () => resolve(bytes));
  return promise;
}
