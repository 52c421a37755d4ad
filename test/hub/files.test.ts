import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile as readLocal,
  rm,
  symlink,
  truncate,
  writeFile as writeLocal,
} from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AuditRecord } from '#src/core/audit.ts';
import { encodeHeader, FILE_HEADER, HASH_TRAILER } from '#src/protocol/files.ts';
import type { BareNode } from '../support/bare-node.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { openFile, readFile, sha256, writeFile } from '../support/files.ts';

let federation: Federation;
let folder: string;
let turned: BareNode;
let behave: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = (stream) => stream.close(8);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-files-'));
  const open = { roots: [folder], deny: ['*.key'] };
  const files = { read: open, write: open, maxBytes: 2 ** 30 };
  federation = await startFederation({ workers: 2, worker: { worker: { files } } });
  turned = bareNode(federation.hub, {
    name: 'turned',
    token: await federation.token({}),
    onStream(stream, headers) {
      stream.on('error', () => undefined);
      behave(stream, headers);
    },
  });
  await turned.welcome();
  await federation.untilOnline('turned');
});
afterAll(async () => {
  await turned.stop();
  await federation[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function latestAudit(action: string): Promise<AuditRecord | undefined> {
  const records = await federation.get<AuditRecord[]>('/audit?limit=20');
  return records.findLast((record) => record.action === action);
}

test('what is written on a node is read from it, and the audit knows both without what was in it', async () => {
  const path = join(folder, 'notes.txt');
  const written = await writeFile(federation, 'w1', 'a secret text', { path, mode: '640' });
  const { id } = await federation.show('w1');
  expect([written.status, written.body]).toEqual([
    200,
    { node: 'w1', id, path, size: 13, sha256: sha256('a secret text'), created: true, previous: null },
  ]);
  const read = await readFile(federation, 'w1', { path, offset: '2', length: '6' });
  expect(read).toMatchObject({
    status: 200,
    whole: true,
    header: { path, size: 13, offset: 2, length: 6, mode: 0o640 },
  });
  expect(read.bytes.toString()).toBe('secret');

  const before = await latestAudit('file.write');
  expect(before?.detail).toMatchObject({
    node: 'w1',
    action: 'write',
    path,
    size: 13,
    content: sha256('a secret text'),
  });
  expect((await latestAudit('file.write.end'))?.detail).toMatchObject({ outcome: 'ok', previous: null, bytes: 13 });
  expect((await latestAudit('file.read'))?.detail).toMatchObject({ node: 'w1', path, offset: 2, length: 6 });
  const end = await latestAudit('file.read.end');
  expect(end?.detail).toMatchObject({ outcome: 'ok', bytes: 6, content: sha256('secret') });
  expect(JSON.stringify(await federation.get('/audit?limit=100'))).not.toContain('a secret text');
});

test('a large file goes both ways whole, and neither end holds it', async () => {
  const path = join(folder, 'large');
  const bytes = Buffer.alloc(40_000_000);
  for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, at);
  expect((await writeFile(federation, 'w1', bytes, { path })).status).toBe(200);
  const read = await readFile(federation, 'w1', { path });
  expect([read.whole, read.bytes.equals(bytes)]).toEqual([true, true]);
});

test.each([
  [{ path: '' }, 'USAGE', 400],
  [{}, 'USAGE', 400],
  [{ path: 'a\0b' }, 'USAGE', 400],
  [{ path: 'x', offset: 'many' }, 'USAGE', 400],
  [{ path: 'x', length: '-1' }, 'USAGE', 400],
  [{ path: 'x', offset: '1e3' }, 'USAGE', 400],
  [{ path: 'x', lenght: '1' }, 'USAGE', 400],
  [{ path: 'x', approval: 'x' }, 'USAGE', 400],
  [{ path: '/etc/passwd' }, 'PATH_DENIED', 403],
  [{ path: '/proc/self/environ' }, 'PATH_DENIED', 403],
])('%j is refused: %s', async (query, code, status) => {
  expect(await readFile(federation, 'w1', query as never)).toMatchObject({ status, error: { code } });
});

test('what a node says of a file reaches who asked', async () => {
  await mkdir(join(folder, 'sub'));
  await symlink('/etc/passwd', join(folder, 'way'));
  const codeOf = async (path: string) => (await readFile(federation, 'w1', { path })).error?.code;
  expect(await codeOf(join(folder, 'none'))).toBe('PATH_NOT_FOUND');
  expect(await codeOf(join(folder, 'sub'))).toBe('PATH_DENIED');
  expect(await codeOf(join(folder, 'way'))).toBe('PATH_DENIED');
  expect(await codeOf(join(folder, 'id.key'))).toBe('PATH_DENIED');
  expect((await latestAudit('file.read.end'))?.detail).toMatchObject({ outcome: 'denied', code: 'PATH_DENIED' });
});

test('a node that is not there is named', async () => {
  expect(await readFile(federation, 'nobody', { path: 'x' })).toMatchObject({
    status: 404,
    error: { code: 'NODE_NOT_FOUND' },
  });
  await federation.stop('w2');
  await eventually('w2 is offline', async () => !(await federation.isOnline('w2')));
  expect(await readFile(federation, 'w2', { path: 'x' })).toMatchObject({
    status: 503,
    error: { code: 'MACHINE_UNREACHABLE', message: 'w2 is not connected' },
  });
});

test.each([
  [{ size: '6' }, 'USAGE'],
  [{ sha256: sha256('other') }, 'USAGE'],
  [{ sha256: 'x' }, 'USAGE'],
  [{ mode: '4755' }, 'USAGE'],
  [{ mode: '999' }, 'USAGE'],
  [{ if: 'present' }, 'USAGE'],
  [{ size: '-5' }, 'USAGE'],
  [{ if: sha256('other') }, 'FILE_CHANGED'],
])('a write with %j changes nothing: %s', async (query, code) => {
  const path = join(folder, 'kept');
  await writeLocal(path, 'kept');
  expect((await writeFile(federation, 'w1', 'hello', { path, ...query })).body).toMatchObject({ code });
  expect(await readLocal(path, 'utf8')).toBe('kept');
});

test('a refusal reaches a client that still sends', async () => {
  const large = Buffer.alloc(20_000_000);
  const denied = await writeFile(federation, 'w1', large, { path: '/etc/x' });
  expect(denied.body).toMatchObject({ code: 'PATH_DENIED' });
  const tooLarge = await writeFile(federation, 'w1', large, {
    path: join(folder, 'x'),
    size: String(large.length),
    if: 'x',
  });
  expect(tooLarge.body).toMatchObject({ code: 'USAGE' });
});

test('a client that breaks off in the middle of a write changes nothing', async () => {
  const path = join(folder, 'broken');
  const query = new URLSearchParams({ path, sha256: sha256(Buffer.alloc(100_000)), size: '100000' });
  const asking = request({
    socketPath: federation.hub.operator,
    method: 'PUT',
    path: `/api/v1/nodes/w1/file?${query.toString()}`,
    headers: { 'content-length': '100000' },
  });
  asking.on('error', () => undefined);
  asking.write(Buffer.alloc(50_000));
  await eventually('it is under way', async () => (await readdir(folder)).some((name) => name.endsWith('.part')));
  asking.destroy();
  await eventually('it is gone', async () => !(await readdir(folder)).some((name) => name.endsWith('.part')));
  expect(await readdir(folder)).not.toContain('broken');
  await eventually(
    'the audit says so',
    async () => (await latestAudit('file.write.end'))?.detail['outcome'] === 'failed',
  );
});

test('a client that stalls holds little, and one that leaves ends the read', async () => {
  const path = join(folder, 'sparse');
  await writeLocal(path, '');
  await truncate(path, 2 ** 29);
  const response = await openFile(federation, 'w1', { path });
  response.pause();
  const before = process.memoryUsage();
  for (let round = 0; round < 20; round += 1) await federation.ask('GET', '/status');
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(32 << 20);
  response.destroy();
  await eventually('it is left', async () => (await latestAudit('file.read.end'))?.detail['outcome'] === 'unknown');
});

test('a link that is lost cuts a read, and shows it', async () => {
  const path = join(folder, 'sparse');
  await writeLocal(path, '');
  await truncate(path, 2 ** 29);
  const response = await openFile(federation, 'w1', { path });
  federation.cable('w1').cut();
  let whole = true;
  try {
    for await (const _ of response);
  } catch {
    whole = false;
  }
  expect([whole, response.trailers[HASH_TRAILER]]).toEqual([false, undefined]);
  federation.cable('w1').mend();
  await federation.untilOnline('w1');
});

test('a lockdown cuts what is under way and denies what comes', async () => {
  const path = join(folder, 'sparse');
  await writeLocal(path, '');
  await truncate(path, 2 ** 29);
  const response = await openFile(federation, 'w1', { path });
  await federation.post('/lockdown', { reason: 'a key was stolen' });
  let whole = true;
  try {
    for await (const _ of response);
  } catch {
    whole = false;
  }
  expect(whole).toBe(false);
  const denied = await readFile(federation, 'w1', { path });
  expect(denied.error).toMatchObject({ code: 'LOCKED_DOWN' });
  const deniedToo = await writeFile(federation, 'w1', 'x', { path });
  expect(deniedToo.body).toMatchObject({ code: 'LOCKED_DOWN' });
  await federation.post('/lockdown/lift');
  expect((await readFile(federation, 'w1', { path, length: '1' })).status).toBe(200);
});

describe('a node that has turned', () => {
  const HEADER = { path: '/x', size: 5, mtime: '2026-01-01T00:00:00.000Z', mode: 0o644, offset: 0, length: 5 };
  beforeEach(() => {
    behave = (stream) => stream.close(8);
  });

  function answering(header: object | string, bytes: string, trailer: string | null) {
    behave = (stream) => {
      stream.resume();
      const said = typeof header === 'string' ? header : encodeHeader(header);
      stream.respond({ ':status': 200, [FILE_HEADER]: said }, { waitForTrailers: true });
      stream.on('wantTrailers', () =>
        trailer === null ? stream.close() : stream.sendTrailers({ [HASH_TRAILER]: trailer }),
      );
      stream.end(bytes);
    };
  }

  test.each([
    ['less than it announced', 'hell', sha256('hell')],
    ['more than it announced', 'hello!', sha256('hello!')],
    ['other bytes than it proves', 'hullo', sha256('hello')],
    ['no proof', 'hello', null],
    ['no proof that is one', 'hello', 'x'],
  ])('that sends %s is not believed', async (_, bytes, trailer) => {
    answering(HEADER, bytes, trailer);
    const read = await readFile(federation, 'turned', { path: 'x' });
    expect(read.whole).toBe(false);
    await eventually(
      'the audit says so',
      async () => (await latestAudit('file.read.end'))?.detail['outcome'] === 'unknown',
    );
  });

  test.each([
    ['no header', ''],
    ['a header that is no JSON', 'e30x'],
    ['a header of other words', encodeHeader({ size: -1 })],
  ])('that sends %s is not believed', async (_, header) => {
    answering(header, 'hello', sha256('hello'));
    expect((await readFile(federation, 'turned', { path: 'x' })).error).toMatchObject({ code: 'LINK_LOST' });
  });

  test.each([
    ['in the hub’s own words', { code: 'UNAUTHENTICATED', message: 'log in at evil.example' }, 'STEP_FAILED'],
    ['in no words', 'x', 'STEP_FAILED'],
    ['at length', { code: 'PATH_DENIED', message: 'x'.repeat(200_000) }, 'LINK_LOST'],
    ['in many words', { code: 'PATH_DENIED', message: 'x'.repeat(20_000) }, 'PATH_DENIED'],
  ])('that refuses %s is cut short', async (_, body, code) => {
    behave = (stream) => {
      stream.resume();
      stream.respond({ ':status': 403 });
      stream.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    const { error } = await readFile(federation, 'turned', { path: 'x' });
    expect(error).toMatchObject({ code });
    expect(error!.message.length).toBeLessThanOrEqual(5000);
    expect((await writeFile(federation, 'turned', 'x', { path: 'x' })).body).toMatchObject({ code });
  });

  test.each([
    ['resets the stream', (stream: ServerHttp2Stream) => stream.close(8)],
    [
      'says that all is well, in other words',
      (stream: ServerHttp2Stream) => {
        stream.resume();
        stream.respond({ ':status': 200 });
        stream.end('{"ok":true}');
      },
    ],
    [
      'says so at length',
      (stream: ServerHttp2Stream) => {
        stream.resume();
        stream.respond({ ':status': 200 });
        stream.end('x'.repeat(1 << 20));
      },
    ],
  ])('that %s has written nothing', async (_, behaviour) => {
    behave = behaviour;
    expect((await writeFile(federation, 'turned', 'hello', { path: 'x' })).body).toMatchObject({ code: 'LINK_LOST' });
  });

  test('that takes nothing of a write holds little of it, until its link ends', async () => {
    const asked = Promise.withResolvers<ServerHttp2Stream>();
    behave = (stream) => asked.resolve(stream.pause());
    const query = new URLSearchParams({ path: 'x', sha256: sha256(''), size: String(2 ** 29) });
    const asking = request({
      socketPath: federation.hub.operator,
      method: 'PUT',
      path: `/api/v1/nodes/turned/file?${query.toString()}`,
    });
    asking.on('error', () => undefined);
    const answered = once(asking, 'response');
    createReadStream('/dev/zero').pipe(asking);
    await asked.promise;
    const before = process.memoryUsage();
    for (let round = 0; round < 20; round += 1) await federation.ask('GET', '/status');
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(32 << 20);
    await turned.stop();
    const [response] = (await answered) as [{ statusCode: number }];
    expect(response.statusCode).toBe(502);
    asking.destroy();
  });
});
