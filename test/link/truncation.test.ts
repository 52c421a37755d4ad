import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Link } from '#src/link/accept.ts';
import type { Frame } from '#src/protocol/frames.ts';
import { FRAME, encodeFrame, encodeJsonFrame, frameReader } from '#src/protocol/frames.ts';
import type { TestHub, TestProxy } from '../support/link.ts';
import { expectNoSockets, startHub, startNode, startProxy, until } from '../support/link.ts';

beforeEach(() => onTestFinished(expectNoSockets));

const EXIT = { kind: 'ended', mark: 'the end, all of it' };
const STREAM = Buffer.concat([
  encodeJsonFrame(FRAME.started, 0, { pid: 1 }),
  encodeFrame(FRAME.stdout, 0, Buffer.from('out')),
  encodeFrame(FRAME.stderr, 0, Buffer.from('err')),
  encodeJsonFrame(FRAME.exit, 0, EXIT),
]);
const EXIT_BYTES = JSON.stringify(EXIT);

const AT_ONCE = 16;

type Cut = 'end' | 'resetAndDestroy' | 'destroy';

/** A wire that carries `after` bytes of what the node says in HTTP/2 and is then cut. */
async function cutWire(hub: TestHub, after: number, cut: Cut): Promise<{ proxy: TestProxy; passed(): Buffer }> {
  let welcomed = false;
  const passed: Buffer[] = [];
  let left = after;
  const proxy = await startProxy(hub.port, {
    fromHub(chunk, node) {
      welcomed ||= chunk.includes('"welcome"');
      node.write(chunk);
    },
    fromNode(chunk, _node, toHub) {
      if (!welcomed) return void toHub.write(chunk);
      if (left <= 0) return;
      const part = chunk.subarray(0, left);
      left -= part.length;
      passed.push(part);
      toHub.write(part, () => {
        if (left === 0) toHub[cut]();
      });
    },
  });
  return { proxy, passed: () => Buffer.concat(passed) };
}

/** Reads the stream as the hub does; the outcome is what it may believe. */
async function readStream(link: Link): Promise<{ exit: unknown; end: 'clean' | 'error' }> {
  let exit: unknown = null;
  const reader = frameReader((frame: Frame) => {
    if (frame.type === FRAME.exit) exit = JSON.parse(frame.payload.toString());
  });
  const request = link.request({ ':path': '/exec' });
  return new Promise((resolve) => {
    let end: 'clean' | 'error' = 'clean';
    request.on('data', (chunk: Buffer) => reader.push(chunk));
    request.on('error', () => (end = 'error'));
    request.on('close', () => resolve({ exit, end }));
  });
}

async function runCut(hub: TestHub, after: number, cut: Cut) {
  const { proxy, passed } = await cutWire(hub, after, cut);
  const node = startNode(
    { port: proxy.port, key: hub.key },
    {
      backOff: { minMs: 60_000, maxMs: 60_000, patientMs: 60_000 },
      onStream(stream) {
        stream.respond({ ':status': 200 });
        stream.end(STREAM);
      },
    },
  );
  const mine = () => hub.links.find((one) => one.nodeId === node.key.id);
  await until('a link', () => mine() !== undefined);
  const link = mine()!;
  const result = await readStream(link).catch(() => ({ exit: null, end: 'error' as const }));
  const whole = passed();
  await node.stop();
  await proxy.close();
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
  return { ...result, passed: whole };
}

test.each(['end', 'resetAndDestroy', 'destroy'] as const)(
  'a connection that is cut (%s) at any byte shows no exit that was not whole, and no clean end before the last byte',
  async (cut) => {
    const hub = await startHub();
    onTestFinished(() => hub.close());
    const { exit, passed: uncut } = await runCut(hub, Number.POSITIVE_INFINITY, cut);
    expect(exit).toEqual(EXIT);
    expect(uncut.includes(EXIT_BYTES)).toBe(true);

    let withoutExit = 0;
    for (let first = 1; first <= uncut.length; first += AT_ONCE) {
      const cuts = Array.from({ length: AT_ONCE }, (_, index) => runCut(hub, first + index, cut));
      for (const result of await Promise.all(cuts)) {
        const whole = result.passed.includes(EXIT_BYTES);
        // a whole exit may still be lost with the connection, half of one may never be seen
        expect([EXIT, null]).toContainEqual(result.exit);
        expect(whole || result.exit === null).toBe(true);
        expect(whole || result.end === 'error').toBe(true);
        if (result.exit === null) withoutExit += 1;
      }
    }
    expect(withoutExit).toBeGreaterThan(STREAM.length);
    expect(withoutExit).toBeLessThan(uncut.length);
  },
  120_000,
);
