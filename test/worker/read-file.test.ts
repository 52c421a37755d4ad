import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { ClientHttp2Stream } from 'node:http2';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Asker } from '#src/core/policy.ts';
import { openRead, read, sha256 } from './file-requests.ts';
import { ask, startWorker, until, type WorkerSetup, type WorkerUnderTest } from './worker-under-test.ts';

let folder: string;
let open: string;
let worker: WorkerUnderTest;

async function start(files: { deny?: string[]; maxBytes?: number; roots?: string[] } = {}, more: WorkerSetup = {}) {
  const { deny = ['*.key'], maxBytes = 1 << 20, roots = [open] } = files;
  worker = await startWorker({
    files: { read: { roots, deny }, write: { roots, deny }, maxBytes },
    home: open,
    ...more,
  });
}

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'federation-files-')));
  open = join(folder, 'open');
  mkdirSync(join(open, 'sub'), { recursive: true });
  mkdirSync(join(folder, 'shut'));
  writeFileSync(join(folder, 'shut', 'secret'), 'the secret');
  writeFileSync(join(open, 'a.txt'), 'hello');
  await start();
});

afterEach(async () => {
  await worker.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a file that is open', () => {
  it('comes with what it is, and with a proof that it is whole', async () => {
    chmodSync(join(open, 'a.txt'), 0o640);
    const { status, header, bytes, sha256: sum } = await read(worker.session, join(open, 'a.txt'));
    expect({ status, text: bytes.toString(), sum }).toEqual({ status: 200, text: 'hello', sum: sha256('hello') });
    expect(header).toMatchObject({ path: join(open, 'a.txt'), size: 5, mode: 0o640, offset: 0, length: 5 });
  });

  it.each([
    ['~/a.txt', 'hello'],
    ['a.txt', 'hello'],
    ['sub/../a.txt', 'hello'],
    ['./a.txt', 'hello'],
  ])('is named from the home: %s', async (path, text) => {
    expect((await read(worker.session, path)).bytes.toString()).toBe(text);
  });

  it.each([
    [{ offset: 1 }, 'ello', 1],
    [{ length: 2 }, 'he', 0],
    [{ offset: 1, length: 3 }, 'ell', 1],
    [{ offset: -2 }, 'lo', 3],
    [{ offset: -100, length: 1 }, 'h', 0],
    [{ offset: 5 }, '', 5],
    [{ offset: 99, length: 7 }, '', 99],
    [{ length: 0 }, '', 0],
  ])('comes in part: %j', async (part, text, offset) => {
    const answer = await read(worker.session, 'a.txt', part);
    expect(answer.bytes.toString()).toBe(text);
    expect(answer.header).toMatchObject({ size: 5, offset, length: text.length });
    expect(answer.sha256).toBe(sha256(text));
  });

  it('may have any bytes, and a name of any writing', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0, 128]);
    const names = ['\u202egpj.exe', 'e\u0301', '\u00e9', ' ', '-rf', '"\'$(x)`', '日本.txt', '\u200b', 'n'.repeat(255)];
    for (const [at, name] of names.entries())
      writeFileSync(join(open, name), Buffer.concat([bytes, Buffer.from([at])]));
    for (const [at, name] of names.entries()) {
      const answer = await read(worker.session, join(open, name));
      expect({ name, path: answer.header?.path, bytes: answer.bytes }).toEqual({
        name,
        path: join(open, name),
        bytes: Buffer.concat([bytes, Buffer.from([at])]),
      });
    }
  });

  it('may be empty', async () => {
    writeFileSync(join(open, 'empty'), '');
    expect(await read(worker.session, 'empty')).toMatchObject({ status: 200, sha256: sha256('') });
  });

  it('may be reached by links that stay where it is open', async () => {
    symlinkSync('a.txt', join(open, 'link'));
    symlinkSync('.', join(open, 'sub', 'dot'));
    symlinkSync(open, join(open, 'sub', 'up'));
    for (const path of ['link', 'sub/dot/dot/up/a.txt', 'sub/up/link']) {
      const { header, bytes } = await read(worker.session, path);
      expect([header?.path, bytes.toString()]).toEqual([join(open, 'a.txt'), 'hello']);
    }
  });

  it('is read in parts where it is too large to be read at once', async () => {
    await worker.close();
    await start({ maxBytes: 10 });
    writeFileSync(join(open, 'large'), '0123456789abcdef');
    expect(await read(worker.session, 'large')).toMatchObject({ code: 'FILE_TOO_LARGE' });
    expect((await read(worker.session, 'large', { length: 10 })).bytes.toString()).toBe('0123456789');
    expect((await read(worker.session, 'large', { offset: 10 })).bytes.toString()).toBe('abcdef');
    expect(await read(worker.session, 'large', { length: 11 })).toMatchObject({ code: 'FILE_TOO_LARGE' });
  });

  it('may be sparse and huge, and costs no more than what is read of it', async () => {
    truncateSync(join(open, 'a.txt'), 2 ** 40);
    expect(await read(worker.session, 'a.txt')).toMatchObject({ code: 'FILE_TOO_LARGE' });
    const tail = await read(worker.session, 'a.txt', { offset: -3 });
    expect([tail.header?.offset, [...tail.bytes]]).toEqual([2 ** 40 - 3, [0, 0, 0]]);
  });
});

describe('where nothing is open', () => {
  it.each([
    '../shut/secret',
    '~/../shut/secret',
    'sub/../../shut/secret',
    '/etc/passwd',
    '/proc/self/environ',
    '/proc/self/root/etc/passwd',
    '/dev/zero',
    '/dev/fd/0',
    '/sys/kernel/profiling',
    'id.key',
    'ID.KEY',
    'x.key/readme',
  ])('%s is denied, whether it is there or not', async (path) => {
    expect(await read(worker.session, path)).toMatchObject({ code: 'PATH_DENIED' });
  });

  it.each([
    ['the last part', (secret: string) => symlinkSync(secret, join(open, 'x'))],
    ['a relative link', () => symlinkSync('../shut/secret', join(open, 'x'))],
    [
      'a chain of links',
      (secret: string) => {
        symlinkSync(secret, join(open, 'y'));
        symlinkSync('y', join(open, 'x'));
      },
    ],
    ['a magic link', () => symlinkSync('/proc/self/environ', join(open, 'x'))],
    ['a device', () => symlinkSync('/dev/zero', join(open, 'x'))],
  ])('%s leads nobody there', async (_, make) => {
    make(join(folder, 'shut', 'secret'));
    const answer = await read(worker.session, 'x');
    expect(answer).toMatchObject({ code: 'PATH_DENIED', header: null });
    expect(answer.bytes.toString()).not.toContain('the secret');
  });

  it('a folder that is a link leads nobody there', async () => {
    symlinkSync(join(folder, 'shut'), join(open, 'sub', 'way'));
    expect(await read(worker.session, 'sub/way/secret')).toMatchObject({ code: 'PATH_DENIED' });
  });

  it('a link leads nobody to what is denied below a root', async () => {
    writeFileSync(join(open, 'id.key'), 'the secret');
    symlinkSync('id.key', join(open, 'x'));
    expect(await read(worker.session, 'x')).toMatchObject({ code: 'PATH_DENIED' });
  });

  it('a rule holds by whatever way the folder that it names is reached', async () => {
    await worker.close();
    mkdirSync(join(open, 'real'));
    writeFileSync(join(open, 'real', 'x'), 'the secret');
    symlinkSync('real', join(open, 'named'));
    await start({ deny: [join(open, 'named')] });
    for (const path of ['real/x', 'named/x']) {
      expect(await read(worker.session, path)).toMatchObject({ code: 'PATH_DENIED' });
    }
  });

  it('a second name of a file opens nothing', async () => {
    linkSync(join(folder, 'shut', 'secret'), join(open, 'x'));
    expect(await read(worker.session, 'x')).toMatchObject({ code: 'PATH_DENIED' });
  });

  it('the worker’s own folder is shut, also below a root', async () => {
    await worker.close();
    await start({ roots: ['/'], deny: [] });
    writeFileSync(join(worker.folder, 'node.key'), 'the secret');
    symlinkSync(worker.folder, join(open, 'way'));
    for (const path of [join(worker.folder, 'node.key'), join(open, 'way', 'node.key'), '/proc/self/environ']) {
      expect(await read(worker.session, path)).toMatchObject({ code: 'PATH_DENIED' });
    }
    expect((await read(worker.session, join(folder, 'shut', 'secret'))).bytes.toString()).toBe('the secret');
  });

  it('a root that is a link opens where it leads, and nothing beside it', async () => {
    await worker.close();
    symlinkSync(open, join(folder, 'root'));
    await start({ roots: [join(folder, 'root')] });
    for (const path of [join(folder, 'root', 'a.txt'), join(open, 'a.txt')]) {
      expect((await read(worker.session, path)).bytes.toString()).toBe('hello');
    }
    expect(await read(worker.session, join(folder, 'shut', 'secret'))).toMatchObject({ code: 'PATH_DENIED' });
  });

  it('a name that is swapped for a link again and again gives nothing away', async () => {
    const [x, plain, way] = [join(open, 'x'), join(open, 'plain'), join(open, 'way')];
    writeFileSync(plain, 'hello');
    symlinkSync(join(folder, 'shut', 'secret'), way);
    writeFileSync(x, 'hello');
    // Two more processes' worth of swapping than of reading: in a shell of its own, as fast as it goes.
    const swapper = swapping(
      `while :; do ln -sfn ../shut/secret t; mv -Tf t x; printf hello >u; mv -Tf u x; done`,
      open,
    );
    const seen = new Set<string>();
    try {
      for (let round = 0; round < 300; round += 1) {
        const { status, bytes, code } = await read(worker.session, 'x');
        seen.add(status === 200 ? bytes.toString() : code!);
      }
    } finally {
      swapper.end();
    }
    expect(
      [...seen].filter(
        (one) =>
          one !== '' && one !== 'hello' && one !== 'PATH_DENIED' && one !== 'FILE_CHANGED' && one !== 'PATH_NOT_FOUND',
      ),
    ).toEqual([]);
    expect(seen).toContain('PATH_DENIED');
  });

  it('a folder that is swapped for a link again and again gives nothing away', async () => {
    mkdirSync(join(open, 'd'));
    writeFileSync(join(open, 'd', 'secret'), 'hello');
    const swapper = swapping('while :; do mv -T d e; ln -s ../shut d; rm d; mv -T e d; done', open);
    const seen = new Set<string>();
    try {
      for (let round = 0; round < 300; round += 1) {
        const { status, bytes, code } = await read(worker.session, 'd/secret');
        seen.add(status === 200 ? bytes.toString() : code!);
      }
    } finally {
      swapper.end();
    }
    expect(seen).not.toContain('the secret');
    expect(seen.size).toBeGreaterThan(1);
  });
});

function swapping(line: string, cwd: string) {
  const child = execFile('/bin/sh', ['-c', line], { cwd });
  return { end: () => child.kill('SIGKILL') };
}

describe('what is no regular file', () => {
  it('is refused, and nothing waits for it', async () => {
    execFileSync('mkfifo', [join(open, 'pipe')]);
    const socket = createServer();
    socket.listen(join(open, 'socket'));
    await once(socket, 'listening');
    for (const path of ['pipe', 'socket', 'sub']) {
      expect(await read(worker.session, path)).toMatchObject({ code: 'PATH_DENIED' });
    }
    socket.close();
  });

  it.each(['a.txt/', 'sub/', '.', '~bob/x'])('%s is wrong use', async (path) => {
    expect(await read(worker.session, path)).toMatchObject({ code: 'USAGE' });
  });

  it.each(['none', 'none/x', 'a.txt/x'])('%s is not there', async (path) => {
    expect(await read(worker.session, path)).toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});

describe('a request that no hub sends', () => {
  it.each([
    ['a NUL', 'a\0b'],
    ['a line', 'a\nb'],
    ['an escape', '\u001b[2J'],
    ['a control character of Latin 1', 'a\u0085'],
    ['a line separator', 'a\u2028b'],
    ['nothing', ''],
    ['half a character', '\ud800'],
    ['4096 bytes', 'x/'.repeat(2048)],
    ['a name of 256 bytes', 'n'.repeat(256)],
    ['4096 bytes in fewer characters', '/é'.repeat(1366)],
  ])('is refused: a path with %s', async (_, path) => {
    expect(await read(worker.session, path)).toMatchObject({ code: 'USAGE' });
  });

  it.each([{ offset: 0.5 }, { length: -1 }, { offset: '1' }, { length: 2 ** 60 }, { asker: { kind: 'root' } }])(
    'is refused: %j',
    async (more) => {
      expect(await read(worker.session, 'a.txt', more)).toMatchObject({ code: 'USAGE' });
    },
  );

  it('a path of 4095 bytes is looked up', async () => {
    const path = `${open}/${'./'.repeat(2000)}`.slice(0, 4090) + 'a.txt';
    expect((await read(worker.session, path)).status).toBe(200);
    const deep = `${open}/${'d/'.repeat(2040)}`.slice(0, 4090) + '/x.tx';
    expect(await read(worker.session, deep)).toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});

describe('who asks', () => {
  const owner: Asker = { kind: 'chat', channel: 'telegram', sender: '1001', owner: true };

  it.each<[Asker, 'worker' | 'hybrid', string | null]>([
    [owner, 'worker', null],
    [owner, 'hybrid', 'FORBIDDEN'],
    [{ ...owner, owner: false }, 'worker', 'FORBIDDEN'],
    [{ kind: 'node', id: 'f' }, 'worker', 'FORBIDDEN'],
  ])('%j on a %s: %s', async (asker, role, code) => {
    await worker.close();
    await start({}, { role });
    expect((await read(worker.session, 'a.txt', { asker })).code).toBe(code);
  });
});

describe('a read that is under way', () => {
  const MANY = 8 << 20;
  beforeEach(async () => {
    await worker.close();
    await start({ maxBytes: 2 ** 30 });
    writeFileSync(join(open, 'large'), Buffer.alloc(MANY, 7));
  });

  it('waits for a reader that stalls, and holds little meanwhile', async () => {
    truncateSync(join(open, 'large'), 2 ** 29);
    const stream = openRead(worker.session, 'large');
    await once(stream, 'response');
    stream.pause();
    const before = process.memoryUsage().arrayBuffers;
    await ask(worker.session, 'GET', '/invocations/01ARZ3NDEKTSV4RRFFQ69G5FAV');
    await ask(worker.session, 'GET', '/invocations/01ARZ3NDEKTSV4RRFFQ69G5FAV');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
    const descriptors = openFiles('large');
    expect(descriptors).toBe(1);
    stream.close();
    await until(() => openFiles('large') === 0);
  });

  it('has no trailer where the file becomes shorter', async () => {
    const stream = openRead(worker.session, 'large');
    let hasTrailer = false;
    stream.on('trailers', () => (hasTrailer = true));
    await once(stream, 'response');
    truncateSync(join(open, 'large'), 0);
    await toItsEnd(stream);
    expect(hasTrailer).toBe(false);
    await until(() => openFiles('large') === 0);
  });

  it('sends what the file held when it was opened, where it is replaced', async () => {
    const stream = openRead(worker.session, 'large');
    await once(stream, 'response');
    writeFileSync(join(open, 'other'), 'other');
    renameSync(join(open, 'other'), join(open, 'large'));
    let bytes = 0;
    for await (const chunk of stream) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(MANY);
  });

  it('sends no more than was announced, where the file grows', async () => {
    const stream = openRead(worker.session, 'large');
    await once(stream, 'response');
    appendFileSync(join(open, 'large'), 'more');
    let bytes = 0;
    for await (const chunk of stream) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(MANY);
  });

  it.each(['/lockdown', '/revoke'])('is cut by %s', async (path) => {
    const stream = openRead(worker.session, 'large');
    let hasTrailer = false;
    stream.on('trailers', () => (hasTrailer = true));
    await once(stream, 'response');
    const ended = toItsEnd(stream);
    stream.pause();
    await ask(worker.session, 'POST', path);
    stream.resume();
    await ended;
    expect(hasTrailer).toBe(false);
    const again = await read(worker.session, 'a.txt');
    expect(again.code).toBe(path === '/lockdown' ? 'LOCKED_DOWN' : null);
  });

  it('is one of a few: more are told to come again', async () => {
    const streams = Array.from({ length: 32 }, () => openRead(worker.session, 'large'));
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    expect(await read(worker.session, 'a.txt')).toMatchObject({ code: 'PENDING_FULL' });
    for (const stream of streams) stream.close();
    await until(() => openFiles('large') === 0);
    expect(await read(worker.session, 'a.txt')).toMatchObject({ status: 200 });
  });
});

function toItsEnd(stream: ClientHttp2Stream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on('close', resolve).resume();
  return promise;
}

/** Descriptors of this process that are of a file of `open`. */
function openFiles(name: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return realpathSync(`/proc/self/fd/${fd}`) === join(open, name);
    } catch {
      return false;
    }
  }).length;
}
