import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { createNodeFiles } from '#src/hub/files/files.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import type { Link } from '#src/link/accept.ts';
import { encodeHeader, FILE_HEADER } from '#src/protocol/files.ts';
import { aMember, SILENT_LOG } from '../support/member.ts';
import { sha256 } from '../support/files.ts';

const ANN = { kind: 'operator', name: 'ann' } as const;

/** Files of one node that takes each request as it is told, and has `idleMs` to go on. */
async function filesOf(behave: (stream: ServerHttp2Stream) => void, idleMs = 50) {
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    behave(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  const audited: unknown[] = [];
  const files = createNodeFiles({
    find: () => aMember({ name: 'w1' }),
    fleet: { link: () => ({ request: (headers, options) => session.request(headers, options) }) as Link },
    permits: { permit: () => NO_PERMIT },
    store: {
      commit: async (changes) => void audited.push(...changes),
      commitSoon: async (changes) => void audited.push(...changes),
    },
    createId: () => 'id',
    log: SILENT_LOG,
    idleMs,
  });
  return { files, audited };
}

const HEADER = { path: '/x', size: 5, mtime: '2026-01-01T00:00:00.000Z', mode: 0o644, offset: 0, length: 5 };

test.each([
  ['says nothing', () => undefined],
  ['sends nothing of what it announced', (stream: ServerHttp2Stream) => announce(stream)],
  ['sends a part and no more', (stream: ServerHttp2Stream) => void announce(stream).write('he')],
])('a node that %s of a file is given up', async (_, behave) => {
  const { files, audited } = await filesOf(behave);
  const take = async (_header: unknown, bytes: AsyncIterable<Buffer>) => {
    for await (const _chunk of bytes);
  };
  await expect(files.read('w1', { path: '/x' }, ANN, { take })).rejects.toMatchObject({ code: 'LINK_LOST' });
  expect(audited.at(-1)).toMatchObject({ entry: { action: 'file.read.end', detail: { outcome: 'unknown' } } });
});

function announce(stream: ServerHttp2Stream): ServerHttp2Stream {
  stream.respond({ ':status': 200, [FILE_HEADER]: encodeHeader(HEADER) }, { waitForTrailers: true });
  return stream;
}

test('a client that takes its time with a file is waited for', async () => {
  const { files } = await filesOf((stream) => {
    announce(stream).on('wantTrailers', () => stream.sendTrailers({ 'x-federation-sha256': sha256('hello') }));
    stream.end('hello');
  }, 1000);
  const chunks: Buffer[] = [];
  const take = async (_header: unknown, bytes: AsyncIterable<Buffer>) => {
    for await (const chunk of bytes) {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      chunks.push(chunk);
    }
  };
  await files.read('w1', { path: '/x' }, ANN, { take });
  expect(Buffer.concat(chunks).toString()).toBe('hello');
});

test.each([
  ['takes nothing', 6_400_000, 'stood still'],
  ['takes all and confirms nothing', 5, 'did not confirm'],
])('a node that %s of a write is given up', async (_, size, words) => {
  const { files, audited } = await filesOf((stream) => void (size === 5 ? stream.resume() : stream.pause()));
  const pieces = Array.from({ length: Math.ceil(size / 64_000) }, () => Buffer.alloc(Math.min(size, 64_000)));
  const body = Object.assign(Readable.from(pieces), { complete: true });
  const wish = { path: '/x', size, sha256: sha256(Buffer.alloc(size)) };
  await expect(files.write('w1', wish, body as unknown as IncomingMessage, ANN)).rejects.toMatchObject({
    code: 'LINK_LOST',
    message: expect.stringContaining(words),
  });
  expect(audited.at(-1)).toMatchObject({ entry: { action: 'file.write.end', detail: { outcome: 'unknown' } } });
});
