import type { ServerHttp2Stream } from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeFrame, encodeJsonFrame, FRAME, frameHeader } from '#src/protocol/frames.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { BareNode } from '../support/bare-node.ts';
import { bareNode } from '../support/bare-node.ts';
import type { Federation } from '../support/federation.ts';
import { eventually } from '../support/eventually.ts';
import { startFederation } from '../support/federation.ts';

let federation: Federation;
let node: BareNode;
let behave: (stream: ServerHttp2Stream) => void;

beforeAll(async () => {
  federation = await startFederation({ workers: 1 });
  const token = await federation.token({});
  node = bareNode(federation.hub, {
    name: 'turned',
    token,
    onStream(stream) {
      stream.on('error', () => undefined);
      stream.resume();
      stream.respond({ ':status': 200 });
      behave(stream);
    },
  });
  await node.welcome();
  await federation.untilOnline('turned');
});
afterAll(async () => {
  await node.stop();
  await federation[Symbol.asyncDispose]();
});

const OK = {
  ...{ exitCode: 0, signal: null, ended: 'itself', durationMs: 1, stdoutBytes: 0, stderrBytes: 0 },
  ...{ truncated: false, survivors: 0 },
};
const ended = (changed: object = {}) =>
  encodeJsonFrame(FRAME.exit, 0, { kind: 'ended', exit: { ...OK, ...changed }, replayed: false });
const startedBy = (id: string) =>
  encodeJsonFrame(FRAME.started, 0, { node: id, name: 'w1', pid: 1, killAfterMs: 5000 });

test.each<[string, (stream: ServerHttp2Stream) => void]>([
  ['says nothing and ends', (stream) => stream.end()],
  ['says that it started, and ends', (stream) => stream.end(startedBy(node.key.id))],
  ['starts in the name of another', (stream) => stream.end(Buffer.concat([startedBy('f'.repeat(64)), ended()]))],
  ['starts twice', (stream) => stream.end(Buffer.concat([startedBy(node.key.id), startedBy(node.key.id), ended()]))],
  ['says the end at length', (stream) => stream.end(ended({ spawnError: 'x'.repeat(20_000) }))],
  ['says a code that no process has', (stream) => stream.write(ended({ exitCode: -256 }))],
  ['says a signal that is none', (stream) => stream.write(ended({ signal: 'constructor' }))],
  ['cuts the record of the end', (stream) => stream.end(ended().subarray(0, -1))],
  ['resets the stream', (stream) => stream.close(8)],
  ['sends no frames', (stream) => stream.end('HTTP/1.1 200 OK\r\n\r\nok')],
  ['sends a frame that is too long', (stream) => stream.write(frameHeader(FRAME.exit, 0, 0xffff_ffff))],
  ['sends what only the hub may send', (stream) => stream.write(encodeFrame(FRAME.stdin, 0, Buffer.from('x')))],
  ['sends a summary of its own', (stream) => stream.write(encodeJsonFrame(FRAME.summary, 0, { ok: 1 }))],
  ['says the end in no JSON', (stream) => stream.write(encodeFrame(FRAME.exit, 0, Buffer.from('{')))],
  ['says the end in other words', (stream) => stream.write(encodeJsonFrame(FRAME.exit, 0, { kind: 'ok' }))],
  ['says an outcome that is not its to say', (stream) => stream.write(refused('ok'))],
  ['says an end without a code', (stream) => stream.write(ended({ exitCode: undefined }))],
  ['says a code that is none', (stream) => stream.write(ended({ exitCode: 'zero' }))],
])('a node that %s is unknown and never ok', async (_, behaviour) => {
  behave = behaviour;
  const { results, ended: end, whole } = await federation.run(['turned'], 'true');
  expect(whole).toBe(true);
  expect(end?.summary).toEqual({ unknown: 1 });
  expect(results[0]).toMatchObject({ node: 'turned', id: node.key.id, truncated: true, exitCode: null });
});

test('a node speaks for itself alone, whatever name and target it says', async () => {
  behave = (stream) => {
    stream.write(startedBy(node.key.id));
    stream.write(encodeFrame(FRAME.stdout, 0, Buffer.from('mine')));
    stream.write(encodeFrame(FRAME.stdout, 1, Buffer.from('not mine')));
    stream.end(encodeJsonFrame(FRAME.exit, 1, { kind: 'ended', exit: OK, replayed: false }));
  };
  const { results, outputs, opened } = await federation.run(['turned', 'w1'], 'echo w1');
  const at = opened!.targets.findIndex((target) => target.node === 'w1');
  expect(results[at]).toMatchObject({ node: 'w1', id: federation.worker('w1').id, stdoutBytes: 3 });
  expect(outputs[at]?.stdout).toBe('w1\n');
  expect(results[1 - at]).toMatchObject({ node: 'turned', id: node.key.id });
});

test('a record of the end that claims output which did not come is shown as cut', async () => {
  behave = (stream) => stream.end(ended({ stdoutBytes: 1_000_000 }));
  const { results } = await federation.run(['turned'], 'true');
  expect(results[0]).toMatchObject({ outcome: 'ok', truncated: true });
});

test('a node that says its end byte by byte costs the hub no more than its bytes', async () => {
  const frame = ended({ spawnError: 'x'.repeat(900), exitCode: 1 });
  behave = (stream) => {
    for (const byte of frame) stream.write(Buffer.from([byte]));
    stream.end();
  };
  const { results } = await federation.run(['turned'], 'true');
  expect(results[0]).toMatchObject({ outcome: 'failed', exitCode: 1 });
});

test('an answer without end about a lost invocation is not taken in', async () => {
  let asked = 0;
  let most = 0;
  behave = (stream) => stream.close(8);
  const { ended: end } = await federation.run(['turned'], 'true');
  expect(end?.summary).toEqual({ unknown: 1 });
  behave = (stream) => {
    let sent = 0;
    asked += 1;
    const flood = (): void => {
      while (!stream.destroyed && stream.write(Buffer.alloc(65_536))) sent += 65_536;
      most = Math.max(most, sent);
    };
    stream.on('drain', flood);
    flood();
  };
  await eventually('the hub asks what became of it', () => asked > 0);
  await eventually('the hub has enough of it', () => federation.logs.some((line) => line.includes('too long')));
  expect(most).toBeLessThan(2 << 20);
});

test('what follows the record of the end changes nothing of it', async () => {
  behave = (stream) => {
    stream.write(ended({ exitCode: 3 }));
    stream.end(ended({ exitCode: 0 }));
  };
  expect((await federation.run(['turned'], 'true')).ended?.summary).not.toEqual({ ok: 1 });
});

test('the words of a node are cut before they are kept', async () => {
  const long = 'x'.repeat(500_000);
  for (const frame of [refused('denied', long), ended({ exitCode: 1, spawnError: long })]) {
    behave = (stream) => stream.end(frame);
    const { opened, results } = await federation.run(['turned'], 'true');
    expect(results[0]?.reason?.length).toBeLessThan(2000);
    const kept = await federation.get<JobView>(`/jobs/${opened!.job}`);
    expect(JSON.stringify(kept).length).toBeLessThan(5000);
  }
  behave = (stream) => stream.end(ended({ exitCode: null, signal: long }));
  expect((await federation.run(['turned'], 'true')).ended?.summary).toEqual({ unknown: 1 });
});

test('a node that floods or stalls keeps nobody else from ending', async () => {
  behave = (stream) => {
    const chunk = encodeFrame(FRAME.stdout, 0, Buffer.alloc(1 << 16));
    const flood = (): void => {
      while (!stream.destroyed && stream.write(chunk));
    };
    stream.on('drain', flood);
    flood();
  };
  const flooding = await federation.startJob({ kind: 'exec', targets: ['turned'], command: { shell: 'true' } });
  expect((await federation.run(['w1'], 'echo fine')).outputs[0]?.stdout).toBe('fine\n');
  behave = () => undefined;
  const stalled = await federation.startJob({ kind: 'exec', targets: ['turned'], command: { shell: 'true' } });
  expect((await federation.run(['w1'], 'echo fine')).outputs[0]?.stdout).toBe('fine\n');
  await federation.post('/nodes/turned/revoke');
  await Promise.all([flooding.over, stalled.over]);
  expect([flooding.ended?.summary, stalled.ended?.summary]).toEqual([{ unknown: 1 }, { unknown: 1 }]);
});

function refused(outcome: string, reason = 'no') {
  return encodeJsonFrame(FRAME.exit, 0, { kind: 'refused', outcome, reason });
}
