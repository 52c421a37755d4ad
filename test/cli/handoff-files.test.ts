import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main as manage } from '#src/cli/manage.ts';
import type { HandoffHub } from '../support/handoff-hub.ts';
import { HANDOFF, handoffHub } from '../support/handoff-hub.ts';
import { screen } from '../support/screen.ts';

let hub: HandoffHub;
let out: string;
let seen: ReturnType<typeof screen>;

beforeEach(async () => {
  process.stdout.setMaxListeners(200);
  hub = await handoffHub();
  out = join(await mkdtemp(join(tmpdir(), 'ocf-fetch-')), 'out');
  seen = screen();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await hub[Symbol.asyncDispose]();
  await rm(join(out, '..'), { recursive: true });
});

const fetchInto = (folder: string, ...more: readonly string[]) =>
  manage(['--home', hub.home, 'handoff', 'fetch', HANDOFF, ...more, '--out-dir', folder]);
const fetchAll = (...more: readonly string[]) => fetchInto(out, ...more);

test('fetches the files of an answer, each whole, for their owner alone, and leaves nothing else there', async () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));
  hub.give('a report.pdf', bytes);
  hub.give('notes.txt', 'ok\n');
  hub.end('completed');
  expect(await fetchAll()).toBe(0);
  expect((await readdir(out)).toSorted()).toEqual(['a report.pdf', 'notes.txt']);
  expect(await readFile(join(out, 'a report.pdf'))).toEqual(bytes);
  expect((await stat(join(out, 'notes.txt'))).mode & 0o777).toBe(0o600);
  expect(seen.stdout).toBe('');
  expect(seen.stderr).toContain(`${join(out, 'notes.txt')} (3 bytes, sha256 `);
});

test('fetches those that are named, and tells of one that there is not', async () => {
  hub.give('a', '1');
  hub.give('b', '2');
  expect(await fetchAll('b', '--json')).toBe(0);
  expect(await readdir(out)).toEqual(['b']);
  const sha256 = createHash('sha256').update('2').digest('hex');
  expect(JSON.parse(seen.stdout)).toEqual([{ name: 'b', size: 1, sha256, path: join(out, 'b') }]);
  expect(await fetchAll('c')).toBe(3);
  expect(seen.stderr).toBe('error: its answer has no file "c"\n  try: it has a, b\n');
});

test('says that there is none', async () => {
  hub.end('completed');
  expect(await fetchAll()).toBe(0);
  expect(seen.stderr).toBe('its answer has no files\n');
  await expect(readdir(out)).rejects.toThrow('ENOENT');
});

test.each([
  ['other bytes', (bytes: Buffer) => Buffer.from(bytes.toString().replace('a', 'b'))],
  ['fewer bytes', (bytes: Buffer) => bytes.subarray(1)],
  ['more bytes', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1 << 20)])],
])('%s than those of the hash are no file', async (_, changed) => {
  hub.give('data', 'a'.repeat(1000));
  hub.files.set('data', changed(hub.files.get('data')!));
  expect(await fetchAll()).toBe(1);
  expect(seen.stderr).toBe('error: data did not come whole\n  try: fetch it again\n');
  expect(await readdir(out)).toEqual([]);
});

test('a hub that breaks off leaves nothing behind', async () => {
  hub.give('data', 'a'.repeat(1000));
  hub.mishap = ({ what }, response) => {
    if (!what.includes('/artefacts/')) return false;
    response.writeHead(200, { 'content-length': 1000 }).write('aaa', () => response.destroy());
    return true;
  };
  expect(await fetchAll()).toBe(1);
  expect(await readdir(out)).toEqual([]);
});

test('what is there stays, unless it is said otherwise; and a link is never written through', async () => {
  await mkdir(out);
  const elsewhere = join(out, '..', 'elsewhere');
  await writeFile(elsewhere, 'mine');
  await symlink(elsewhere, join(out, 'data'));
  hub.give('data', 'theirs');
  expect(await fetchAll()).toBe(2);
  expect(seen.stderr).toBe(`error: ${join(out, 'data')} is there already\n  try: --force, or another --out-dir\n`);
  expect(await fetchAll('--force')).toBe(0);
  expect(await readFile(elsewhere, 'utf8')).toBe('mine');
  expect(await readFile(join(out, 'data'), 'utf8')).toBe('theirs');
  expect(await readdir(out)).toEqual(['data']);
});

test.each(['../evil', '/etc/cron.d/evil', '..', '.bashrc', '-rf', 'a\\b', 'a\nb', 'x\u202egpj.exe', ''])(
  'a file named %j is not written, whoever says so',
  async (name) => {
    hub.give('good', 'fine');
    hub.stand({ artefacts: [...hub.view().artefacts, { name, size: 1, sha256: '0'.repeat(64) }] });
    expect(await fetchAll()).toBe(1);
    expect(seen.stderr).toMatch(/^error: the hub names a file .*, which is no name of one\n/);
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  },
);

test('a folder that can’t be made is said in two lines', async () => {
  await writeFile(out, 'a file');
  hub.give('data', 'x');
  expect(await fetchAll()).toBe(2);
  expect(seen.stderr).toBe(`error: ${out} is no folder\n  try: another --out-dir\n`);
  await rm(out);
});

test.runIf(process.platform === 'linux')('a folder in a file system that makes none is refused', async () => {
  hub.give('data', 'x');
  expect(await fetchInto('/proc/results/of/it')).toBe(2);
  expect(seen.stderr).toBe(
    'error: /proc/results/of/it can’t be written (ENOENT)\n  try: name a folder that you can write to\n',
  );
});

test('the folders above it are made, too', async () => {
  hub.give('data', 'x');
  const folder = join(out, 'a', 'b');
  expect(await fetchInto(folder)).toBe(0);
  expect(await readdir(folder)).toEqual(['data']);
});
