import type { ClientHttp2Stream, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { AcceptOptions, Link } from '#src/link/accept.ts';
import { STREAM_WINDOW_BYTES } from '#src/link/session.ts';
import type { TestHub, TestNode, TestNodeOptions } from '../support/link.ts';
import { expectNoSockets, newKey, startHub, startNode, until } from '../support/link.ts';

beforeEach(() => onTestFinished(expectNoSockets));

interface Pair {
  readonly hub: TestHub;
  readonly node: TestNode;
  readonly link: Link;
}

async function linked(dial: TestNodeOptions = {}, accept: Partial<AcceptOptions> = {}): Promise<Pair> {
  const hub = await startHub(accept);
  onTestFinished(() => hub.close());
  const node = startNode(hub, dial);
  onTestFinished(() => node.stop());
  return { hub, node, link: await hub.link() };
}

function ask(link: Link, path = '/'): Promise<string> {
  return text(link.request({ ':path': path }));
}

/** What a stream ended with: an error, or `clean`. */
function endOf(stream: ClientHttp2Stream | ServerHttp2Stream): Promise<unknown> {
  return new Promise((resolve) => {
    stream.once('error', resolve);
    stream.once('close', () => resolve('clean'));
  });
}

test('every request names the hub’s epoch', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const { link } = await linked({
    onStream(stream, headers) {
      seen.push(headers);
      stream.respond({ ':status': 200 });
      stream.end();
    },
  });
  await ask(link, '/a');
  await text(link.request({ ':path': '/b', 'x-federation-epoch': '99' }));
  expect(seen).toMatchObject([
    { ':path': '/a', 'x-federation-epoch': '7' },
    { ':path': '/b', 'x-federation-epoch': '7' },
  ]);
});

test('a round trip is known soon and the state is online', async () => {
  const { link } = await linked();
  await until('a round trip', () => link.roundTripMs !== null);
  expect(link.roundTripMs).toBeGreaterThan(0);
  expect(link.state).toBe('online');
});

test('a link that the hub closes tells the node why and fails every stream at both ends', async () => {
  const { node, link } = await linked({ onStream: (stream) => stream.respond({ ':status': 200 }) });
  const request = link.request({ ':path': '/' });
  await once(request, 'response');
  const nodeEnd = endOf(node.streams[0]!);
  const hubEnd = endOf(request);
  const error = new FederationError('REVOKED', 'this node was revoked');
  link.close(error);
  expect(await hubEnd).toBe(error);
  expect(await nodeEnd).toMatchObject({ code: 'REVOKED' });
  expect(await link.closed).toBe(error);
  await until('the node knows', () => node.saw('lost'));
  expect(node.events.find((event) => event.type === 'lost')).toMatchObject({
    error: { code: 'REVOKED', message: 'this node was revoked' },
  });
  expect(() => link.request({ ':path': '/' })).toThrow(expect.objectContaining({ code: 'LINK_LOST' }));
});

test('a node that stops fails every stream at both ends', async () => {
  const { node, link } = await linked({ onStream: (stream) => stream.respond({ ':status': 200 }) });
  const request = link.request({ ':path': '/' });
  await once(request, 'response');
  const ends = Promise.all([endOf(node.streams[0]!), endOf(request)]);
  await node.stop();
  expect(await ends).toMatchObject([{ code: 'LINK_LOST' }, { code: 'LINK_LOST' }]);
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
});

test('a node whose link was taken over does not take it back at once', async () => {
  const { hub, node, link } = await linked();
  link.close(new FederationError('LINK_REPLACED', 'another link of this node'));
  await until('a loss', () => node.saw('lost'));
  const lost = node.events.find((event) => event.type === 'lost');
  expect(lost?.type === 'lost' && lost.retryInMs).toBeGreaterThan(40_000);
  expect(hub.links).toHaveLength(1);
});

test('a node comes back to a hub that was restarted', async () => {
  const { hub, node } = await linked();
  await until('a welcome', () => node.saw('welcome'));
  hub.links[0]!.close(new FederationError('HUB_STOPPING', 'the hub stops'));
  await until('a second link', () => hub.links.length === 2);
  expect(await ask(hub.links[1]!)).toBe('ok');
});

test('a fault of the hub’s own while it takes the link is told and closes it', async () => {
  const fault = new Error('a bug');
  const { hub, node, link } = await linked(
    { backOff: { minMs: 60_000, maxMs: 60_000, patientMs: 60_000 } },
    {
      onLink() {
        throw fault;
      },
    },
  );
  expect(hub.faults).toEqual([fault]);
  expect(await link.closed).toMatchObject({ code: 'INTERNAL' });
  await until('the node knows', () => node.saw('lost'));
});

test('a thousand links in one process all answer', async () => {
  const hub = await startHub();
  onTestFinished(() => hub.close());
  const nodes = Array.from({ length: 1000 }, () => startNode(hub));
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
  await until('a thousand links', () => hub.links.length === 1000, 25_000);
  const answers = await Promise.all(hub.links.map((link) => ask(link)));
  expect(answers.every((answer) => answer === 'ok')).toBe(true);
  expect(new Set(hub.links.map((link) => link.nodeId)).size).toBe(1000);
}, 40_000);

test('two thousand quick resets leave the link as it is', async () => {
  const { hub, link } = await linked({
    onStream(stream, headers) {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/') stream.end('ok');
    },
  });
  for (let round = 0; round < 20; round += 1) {
    const streams = Array.from({ length: 100 }, () => link.request({ ':path': '/reset' }));
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    const ends = streams.map(endOf);
    for (const stream of streams) stream.destroy(new Error('given up'));
    expect(await Promise.all(ends)).not.toContain('clean');
  }
  expect(await ask(link)).toBe('ok');
  expect(hub.links).toHaveLength(1);
});

test('resets without waiting for an answer leave the link as it is, too', async () => {
  const { hub, link } = await linked();
  const streams = Array.from({ length: 2000 }, () => link.request({ ':path': '/' }));
  // Whether a reset shows as an error besides depends on how far the stream has come.
  for (const stream of streams) stream.on('error', () => undefined).close(constants.NGHTTP2_INTERNAL_ERROR);
  await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once('close', resolve))));
  expect(await ask(link)).toBe('ok');
  expect(hub.links).toHaveLength(1);
});

test('a hundred readers that do not read hold a window each, and others are still answered', async () => {
  let sent = 0;
  const chunk = Buffer.alloc(16_384);
  const { link } = await linked({
    onStream(stream, headers) {
      stream.respond({ ':status': 200 });
      if (headers[':path'] !== '/flood') return void stream.end('ok');
      const write = () => {
        if (stream.destroyed) return;
        stream.write(chunk, () => {
          sent += chunk.length;
          write();
        });
      };
      write();
    },
  });
  const stalled = Array.from({ length: 100 }, () => link.request({ ':path': '/flood' }));
  await Promise.all(stalled.map((stream) => once(stream, 'response')));
  for (const stream of stalled) stream.pause();
  const held = () => stalled.map((stream) => stream.readableLength);
  await until('every window is full', () => Math.min(...held()) >= STREAM_WINDOW_BYTES);
  expect(await ask(link)).toBe('ok');
  expect(Math.max(...held())).toBeLessThanOrEqual(STREAM_WINDOW_BYTES);
  expect(sent).toBeLessThanOrEqual(100 * (STREAM_WINDOW_BYTES + chunk.length));

  // one of them reads again and gets more than a window
  let read = 0;
  stalled[0]!.on('data', (data: Buffer) => (read += data.length)).resume();
  await until('more than a window', () => read > 2 * STREAM_WINDOW_BYTES);
  expect(await ask(link)).toBe('ok');
  for (const stream of stalled) stream.destroy(new Error('given up'));
});

test('a node that has much to say to readers that do not read still takes new requests', async () => {
  const { link, node } = await linked({
    onStream(stream, headers) {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/') stream.end('ok');
      else stream.write(Buffer.alloc(1 << 20));
    },
  });
  const stalled = Array.from({ length: 64 }, () => link.request({ ':path': '/much' }));
  await Promise.all(stalled.map((stream) => once(stream, 'response')));
  for (const stream of stalled) stream.pause();
  await until('every window is full', () => Math.min(...stalled.map((s) => s.readableLength)) >= STREAM_WINDOW_BYTES);
  expect(await ask(link)).toBe('ok');
  expect(node.streams).toHaveLength(65);
  for (const stream of stalled) stream.destroy(new Error('given up'));
});

test('a megabyte each way arrives as it was sent', async () => {
  const body = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => (index * 31) % 251));
  const { link } = await linked({
    onStream(stream) {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    },
  });
  const request = link.request({ ':method': 'POST', ':path': '/' });
  request.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).equals(body)).toBe(true);
});

test('one key may come twice: both links are the hub’s to judge', async () => {
  const { hub, node } = await linked();
  const second = startNode(hub, { key: node.key });
  onTestFinished(() => second.stop());
  await until('two links', () => hub.links.length === 2);
  expect(hub.links.map((link) => [link.nodeId, link.generation])).toEqual([
    [node.key.id, 1],
    [node.key.id, 2],
  ]);
  expect(newKey().id).not.toBe(node.key.id);
});
