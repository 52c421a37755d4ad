import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Asker } from '#src/core/policy.ts';
import { openWrite, sha256, write, writeAnswer } from './file-requests.ts';
import { ask, startWorker, until, type WorkerSetup, type WorkerUnderTest } from './worker-under-test.ts';

let folder: string;
let open: string;
let worker: WorkerUnderTest;

interface Opened {
  readonly deny?: string[];
  readonly maxBytes?: number;
  readonly roots?: string[];
  /** Those that are open to read, where they are others. */
  readonly readRoots?: string[];
}

async function start(files: Opened = {}, more: WorkerSetup = {}) {
  const { deny = ['*.key'], maxBytes = 1 << 20, roots = [open], readRoots = roots } = files;
  worker = await startWorker({
    files: { read: { roots: readRoots, deny }, write: { roots, deny }, maxBytes },
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
  expectNothingElse();
  rmSync(folder, { recursive: true, force: true });
});

/** Nothing that was begun is left, whatever became of it, and nothing was written where it is shut. */
function expectNothingElse(): void {
  expect(leftOvers()).toEqual([]);
  expect(readFileSync(join(folder, 'shut', 'secret'), 'utf8')).toBe('the secret');
}

function leftOvers(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.part'));
}

const text = (name: string) => readFileSync(join(open, name), 'utf8');

describe('a file that is open', () => {
  it('is made where it was not', async () => {
    const { status, body } = await write(worker.session, 'sub/new', 'content');
    expect([status, body]).toEqual([
      200,
      { path: join(open, 'sub/new'), size: 7, sha256: sha256('content'), created: true, previous: null },
    ]);
    expect(text('sub/new')).toBe('content');
    expect(statSync(join(open, 'sub/new')).mode & 0o777).toBe(0o644 & ~umask());
  });

  it('is replaced whole, with its permissions and its owner', async () => {
    chmodSync(join(open, 'a.txt'), 0o2710);
    if (process.getuid?.() === 0) chownSync(join(open, 'a.txt'), 1234, 2345);
    const before = statSync(join(open, 'a.txt'));
    const { body } = await write(worker.session, '~/a.txt', 'bye');
    expect(body).toMatchObject({ created: false, previous: sha256('hello') });
    const after = statSync(join(open, 'a.txt'));
    expect(text('a.txt')).toBe('bye');
    expect([after.uid, after.gid, after.mode & 0o7777]).toEqual([before.uid, before.gid, 0o710]);
  });

  it('gets the permissions that are asked for', async () => {
    await write(worker.session, 'a.txt', 'bye', { mode: 0o755 });
    await write(worker.session, 'new', 'bye', { mode: 0o600 });
    expect([statSync(join(open, 'a.txt')).mode & 0o777, statSync(join(open, 'new')).mode & 0o777]).toEqual([
      0o755, 0o600,
    ]);
  });

  it('may be empty, and may hold any bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7) & 255));
    await write(worker.session, 'empty', '');
    await write(worker.session, 'bytes', bytes);
    expect(text('empty')).toBe('');
    expect(readFileSync(join(open, 'bytes')).equals(bytes)).toBe(true);
  });

  it('keeps what its other name holds', async () => {
    linkSync(join(open, 'a.txt'), join(open, 'b.txt'));
    await write(worker.session, 'a.txt', 'bye');
    expect([text('a.txt'), text('b.txt')]).toEqual(['bye', 'hello']);
  });

  it('is another where its name only looks the same', async () => {
    await write(worker.session, 'caf\u00e9', 'one');
    await write(worker.session, 'cafe\u0301', 'two');
    expect([text('caf\u00e9'), text('cafe\u0301')]).toEqual(['one', 'two']);
  });

  it('shows a reader the old content or the new one, never something between', async () => {
    const [one, two] = [Buffer.alloc(300_000, 1), Buffer.alloc(300_000, 2)];
    await write(worker.session, 'x', one);
    const seen = new Set<string>();
    let over = false;
    const reading = (async () => {
      while (!over) {
        seen.add(sha256(readFileSync(join(open, 'x'))));
        await new Promise(setImmediate);
      }
    })();
    for (const content of [two, one, two]) await write(worker.session, 'x', content);
    over = true;
    await reading;
    expect([...seen].filter((sum) => sum !== sha256(one) && sum !== sha256(two))).toEqual([]);
  });
});

describe('a condition', () => {
  it('`absent` holds once', async () => {
    expect((await write(worker.session, 'new', 'one', { if: 'absent' })).body).toMatchObject({ created: true });
    expect((await write(worker.session, 'new', 'two', { if: 'absent' })).body).toMatchObject({ code: 'FILE_CHANGED' });
    expect(text('new')).toBe('one');
  });

  it('names what was there before', async () => {
    const ok = await write(worker.session, 'a.txt', 'two', { if: sha256('hello') });
    expect(ok.status).toBe(200);
    const late = await write(worker.session, 'a.txt', 'three', { if: sha256('hello') });
    expect(late.body).toMatchObject({ code: 'FILE_CHANGED' });
    const gone = await write(worker.session, 'none', 'three', { if: sha256('hello') });
    expect(gone.body).toMatchObject({ code: 'FILE_CHANGED' });
    expect([text('a.txt'), readdirSync(open).includes('none')]).toEqual(['two', false]);
  });

  it.each([['absent'], [sha256('hello')]])('lets one of many at once win: %s', async (condition) => {
    const path = condition === 'absent' ? 'new' : 'a.txt';
    const contents = Array.from({ length: 10 }, (_, at) => `content ${at}`);
    const answers = await Promise.all(
      contents.map((content) => write(worker.session, path, content, { if: condition })),
    );
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners.map(({ body }) => body.sha256)).toEqual([sha256(text(path))]);
    expect(answers.filter(({ body }) => body.code === 'FILE_CHANGED')).toHaveLength(9);
  });

  it('is asked again when the content has come', async () => {
    const stream = openWrite(worker.session, 'a.txt', Buffer.from('bye'), { if: sha256('hello') });
    stream.write('by');
    await until(() => leftOvers().length === 1);
    writeFileSync(join(open, 'a.txt'), 'other');
    stream.end('e');
    expect((await writeAnswer(stream)).body).toMatchObject({ code: 'FILE_CHANGED' });
    expect(text('a.txt')).toBe('other');
  });

  it('tells nobody what they may not read', async () => {
    await worker.close();
    await start({ readRoots: [] });
    const compared = await write(worker.session, 'a.txt', 'x', { if: sha256('hello') });
    expect(compared.body).toMatchObject({ code: 'FILE_CHANGED' });
    expect((await write(worker.session, 'a.txt', 'x')).body).toMatchObject({ created: false, previous: null });
  });
});

describe('what is not written', () => {
  it.each([
    '../shut/new',
    '../shut/secret',
    'sub/../../shut/secret',
    '/etc/cron.d/x',
    '/proc/self/mem',
    '/dev/shm/x',
    '/dev/null',
    'id.key',
  ])('%s is denied', async (path) => {
    expect((await write(worker.session, path, 'x')).body).toMatchObject({ code: 'PATH_DENIED' });
  });

  it.each(['../shut/secret', '../shut/new', 'a.txt', '/dev/null', 'none'])('a link in its place, to %s', async (to) => {
    symlinkSync(to, join(open, 'x'));
    expect((await write(worker.session, 'x', 'bye')).body).toMatchObject({ code: 'PATH_DENIED' });
    expect([readlinkSync(join(open, 'x')), text('a.txt')]).toEqual([to, 'hello']);
    expect(readdirSync(join(folder, 'shut'))).toEqual(['secret']);
  });

  it('a folder that leads out', async () => {
    symlinkSync('../../shut', join(open, 'sub', 'way'));
    for (const path of ['sub/way/secret', 'sub/way/new']) {
      expect((await write(worker.session, path, 'x')).body).toMatchObject({ code: 'PATH_DENIED' });
    }
    expect(readdirSync(join(folder, 'shut'))).toEqual(['secret']);
  });

  it('what is no regular file', async () => {
    execFileSync('mkfifo', [join(open, 'pipe')]);
    for (const path of ['pipe', 'sub']) {
      expect((await write(worker.session, path, 'x')).body).toMatchObject({ code: 'PATH_DENIED' });
    }
    expect(lstatSync(join(open, 'pipe')).isFIFO()).toBe(true);
  });

  it.each(['none/x', 'a.txt/x'])('%s, whose folder is not there', async (path) => {
    expect((await write(worker.session, path, 'x')).body).toMatchObject({ code: 'PATH_NOT_FOUND' });
  });

  it.each(['a\0b', 'a\nb', '', 'sub/', '..', '~bob/x'])('%j, which is no path of a file', async (path) => {
    expect((await write(worker.session, path, 'x')).body).toMatchObject({ code: 'USAGE' });
  });

  it.each([{ size: -1 }, { sha256: 'x' }, { mode: 0o4755 }, { if: 'present' }, { size: undefined }])(
    'by a request that no hub sends: %j',
    async (more) => {
      expect((await write(worker.session, 'a.txt', 'x', more)).body).toMatchObject({ code: 'USAGE' });
    },
  );

  it('what is larger than the node takes, before any of it came', async () => {
    const stream = openWrite(worker.session, 'new', Buffer.alloc(0), { size: (1 << 20) + 1 });
    expect((await writeAnswer(stream)).body).toMatchObject({ code: 'FILE_TOO_LARGE' });
    stream.close();
  });

  it.each([
    ['more', 'hello!'],
    ['less', 'hell'],
    ['other bytes', 'hullo'],
  ])('a body that is %s than announced', async (_, content) => {
    const more = { size: 5, sha256: sha256('hello') };
    expect((await write(worker.session, 'a.txt', content, more)).body).toMatchObject({ code: 'USAGE' });
    expect((await write(worker.session, 'new', content, more)).body).toMatchObject({ code: 'USAGE' });
    expect([text('a.txt'), readdirSync(open).toSorted()]).toEqual(['hello', ['a.txt', 'sub']]);
  });

  it.each([
    ['the hub goes away', (stream: ReturnType<typeof openWrite>) => stream.close(8)],
    ['it is reset as if all were well', (stream: ReturnType<typeof openWrite>) => stream.close(0)],
    ['the link is lost', () => worker.session.destroy()],
    ['the node is locked down', () => void ask(worker.session, 'POST', '/lockdown')],
    ['the node is revoked', () => void ask(worker.session, 'POST', '/revoke')],
  ])('what is cut, because %s', async (_, cut) => {
    const stream = openWrite(worker.session, 'a.txt', Buffer.alloc(100_000));
    stream.write(Buffer.alloc(50_000));
    await until(() => leftOvers().length === 1);
    cut(stream);
    await until(() => leftOvers().length === 0);
    expect(text('a.txt')).toBe('hello');
  });

  it('a folder that is swapped for a link again and again', async () => {
    mkdirSync(join(open, 'd'));
    const line = 'while :; do mv -T d e; ln -s ../shut d; rm d; mv -T e d; done';
    const swapper = execFile('/bin/sh', ['-c', line], { cwd: open });
    const codes = new Set<string>();
    for (let round = 0; round < 200; round += 1) {
      const { status, body } = await write(worker.session, 'd/secret', 'overwritten');
      codes.add(status === 200 ? 'ok' : body.code!);
    }
    swapper.kill('SIGKILL');
    await once(swapper, 'close');
    expect(readdirSync(join(folder, 'shut'))).toEqual(['secret']);
    expect(codes.size).toBeGreaterThan(1);
  });

  it('a name that is swapped for a link again and again', async () => {
    const line = 'while :; do ln -s ../shut/secret t; mv -Tf t x; rm x; done';
    const swapper = execFile('/bin/sh', ['-c', line], { cwd: open });
    for (let round = 0; round < 100; round += 1) await write(worker.session, 'x', 'overwritten');
    swapper.kill('SIGKILL');
    await once(swapper, 'close');
    expect(readFileSync(join(folder, 'shut', 'secret'), 'utf8')).toBe('the secret');
  });
});

describe('who asks', () => {
  const owner: Asker = { kind: 'chat', channel: 'telegram', sender: '1001', owner: true };

  it.each<[Asker, 'worker' | 'hybrid', string | undefined]>([
    [owner, 'worker', undefined],
    [owner, 'hybrid', 'FORBIDDEN'],
    [{ ...owner, owner: false }, 'worker', 'FORBIDDEN'],
    [{ kind: 'node', id: 'f' }, 'worker', 'FORBIDDEN'],
  ])('%j on a %s: %s', async (asker, role, code) => {
    await worker.close();
    await start({}, { role });
    expect((await write(worker.session, 'a.txt', 'bye', { asker })).body.code).toBe(code);
    expect(text('a.txt')).toBe(code === undefined ? 'bye' : 'hello');
  });
});

function umask(): number {
  return Number.parseInt(execFileSync('/bin/sh', ['-c', 'umask'], { encoding: 'utf8' }), 8);
}
