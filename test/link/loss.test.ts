import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { AcceptOptions } from '#src/link/accept.ts';
import type { TestHub } from '../support/link.ts';
import { expectNoSockets, startHub, startNode, startProxy, until } from '../support/link.ts';

beforeEach(() => onTestFinished(expectNoSockets));

async function hubFor(options: Partial<AcceptOptions> = {}): Promise<TestHub> {
  const hub = await startHub(options);
  onTestFinished(() => hub.close());
  return hub;
}

function nodeProcess(hub: TestHub): ChildProcess {
  const program = fileURLToPath(new URL('node-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=federation-source', program, String(hub.port), hub.key.id], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  return child;
}

test('a node that is killed fails what was waiting on it', async () => {
  const hub = await hubFor();
  const child = nodeProcess(hub);
  const link = await hub.link();
  const request = link.request({ ':path': '/hang' });
  await once(request, 'data');
  let ended = false;
  request.on('end', () => (ended = true)).resume();
  const failed = new Promise((resolve) => request.once('error', resolve));
  child.kill('SIGKILL');
  expect(await failed).toMatchObject({ code: 'LINK_LOST' });
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
  expect(ended).toBe(false);
});

test('a node that is stopped becomes suspect, is lost, and comes back when it runs again', async () => {
  const hub = await hubFor({ heartbeatMs: 300 });
  const child = nodeProcess(hub);
  const link = await hub.link();
  const states: string[] = [];
  link.onState(() => states.push(link.state));
  const request = link.request({ ':path': '/hang' });
  await once(request, 'data');
  const failed = new Promise((resolve) => request.once('error', resolve));
  child.kill('SIGSTOP');
  expect(await failed).toMatchObject({ code: 'LINK_LOST' });
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
  expect(states).toEqual(['suspect']);
  child.kill('SIGCONT');
  await until('a second link', () => hub.links.length === 2);
  expect(hub.links[1]!.nodeId).toBe(link.nodeId);
});

test('a node that only pauses is suspect for that time and keeps its link', async () => {
  const hub = await hubFor({ heartbeatMs: 600 });
  const child = nodeProcess(hub);
  const link = await hub.link();
  const states: string[] = [];
  link.onState(() => states.push(link.state));
  child.kill('SIGSTOP');
  await until('suspect', () => link.state === 'suspect');
  child.kill('SIGCONT');
  await until('online', () => link.state === 'online');
  expect(states).toEqual(['suspect', 'online']);
  expect(hub.links).toHaveLength(1);
});

test('a stopped node with a full connection is let go without waiting for it', async () => {
  const hub = await hubFor({ heartbeatMs: 300 });
  const child = nodeProcess(hub);
  const link = await hub.link();
  child.kill('SIGSTOP');
  const requests = Array.from({ length: 64 }, () => link.request({ ':method': 'POST', ':path': '/hang' }));
  for (const request of requests) request.write(Buffer.alloc(1 << 20));
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
  await until('the connection closed', () => !process.getActiveResourcesInfo().includes('TCPSocketWrap'));
  expect(requests.every((request) => request.destroyed)).toBe(true);
});

test('a wire that swallows everything is noticed at both ends, and the node dials again', async () => {
  const hub = await hubFor({ heartbeatMs: 200 });
  const swallowed = new Set<unknown>();
  const proxy = await startProxy(hub.port, {
    fromHub: (chunk, node) => void (swallowed.has(node) || node.write(chunk)),
    fromNode: (chunk, node, toHub) => void (swallowed.has(node) || toHub.write(chunk)),
  });
  onTestFinished(() => proxy.close());
  const node = startNode(
    { port: proxy.port, key: hub.key },
    { onStream: (stream) => stream.respond({ ':status': 200 }) },
  );
  onTestFinished(() => node.stop());
  const link = await hub.link();
  const request = link.request({ ':path': '/' });
  await once(request, 'response');
  const ends = Promise.all(
    [request, node.streams[0]!].map((stream) => new Promise((resolve) => stream.once('error', resolve))),
  );
  // from here on the proxy keeps both connections open and carries nothing: half-open to either side
  swallowed.add(proxy.pairs[0]![0]);
  proxy.pairs[0]![0].removeAllListeners('close');
  proxy.pairs[0]![1].removeAllListeners('close');
  expect(await ends).toMatchObject([{ code: 'LINK_LOST' }, { code: 'LINK_LOST' }]);
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST', message: 'the node no longer answers' });
  await until('a second link', () => hub.links.length === 2);
  const lost = node.events.find((event) => event.type === 'lost');
  expect(lost).toMatchObject({ error: { code: 'LINK_LOST', message: 'the hub no longer answers' } });
});

test('a wire that swallows everything while a node waits holds nothing that a stop cannot end', async () => {
  const hub = await hubFor({
    admit(applicant) {
      applicant.wait(null);
      return new Promise(() => undefined);
    },
  });
  const node = startNode(hub);
  await until('waiting', () => node.saw('waiting'));
  await node.stop();
  expect(hub.links).toEqual([]);
});

test.each([
  ['the hub’s side ends', 1, 'end'],
  ['the hub’s side is reset', 1, 'resetAndDestroy'],
  ['the node’s side ends', 0, 'end'],
  ['the node’s side is reset', 0, 'resetAndDestroy'],
] as const)('when %s every stream fails at both ends and none ends cleanly', async (_name, side, cut) => {
  const hub = await hubFor();
  const proxy = await startProxy(hub.port);
  onTestFinished(() => proxy.close());
  const node = startNode(
    { port: proxy.port, key: hub.key },
    {
      onStream(stream) {
        stream.respond({ ':status': 200 });
        stream.write('begun');
        stream.resume();
      },
    },
  );
  onTestFinished(() => node.stop());
  const link = await hub.link();
  const request = link.request({ ':method': 'POST', ':path': '/' });
  await once(request, 'data');
  const streams = [request, node.streams[0]!];
  const clean: unknown[] = [];
  for (const stream of streams) stream.on('end', () => clean.push(stream)).resume();
  const errors = Promise.all(streams.map((stream) => new Promise((resolve) => stream.once('error', resolve))));
  proxy.pairs[0]![side][cut]();
  expect(await errors).toMatchObject([{ code: 'LINK_LOST' }, { code: 'LINK_LOST' }]);
  expect(clean).toEqual([]);
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
});
