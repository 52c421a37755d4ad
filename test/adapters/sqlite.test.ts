import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Change } from '#src/adapters/store/store.ts';
import { auditLog } from '#src/hub/audit.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'federation-store-'));
  path = join(directory, 'hub.sqlite');
});
afterEach(() => rm(directory, { recursive: true }));

const entry = (n: number): Change => ({ type: 'audit', entry: { at: n, action: 'test', by: 'me', detail: { n } } });

async function verify(): Promise<string | null> {
  const store = openSqliteStore(path);
  const { fault } = await auditLog(store).verify();
  await store.close();
  return fault?.problem ?? null;
}

async function written(count: number): Promise<void> {
  const store = openSqliteStore(path);
  await Promise.all(Array.from({ length: count }, (_, n) => store.commit([entry(n)])));
  await store.close();
}

function tamper(sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

test('each start takes a higher epoch', async () => {
  for (const expected of [1, 2, 3]) {
    const store = openSqliteStore(path);
    expect(await store.nextEpoch()).toBe(expected);
    await store.close();
  }
});

test('commits made at once are all kept, in their order, in one chain', async () => {
  await written(500);
  const store = openSqliteStore(path);
  const records = await store.audit(0, 1000);
  await store.close();
  expect(records.map(({ detail }) => detail['n'])).toEqual(Array.from({ length: 500 }, (_, n) => n));
  expect(await verify()).toBeNull();
});

test('what nobody waits for is kept in its order, is seen by whoever reads next, and outlives the close', async () => {
  const store = openSqliteStore(path);
  const soon = store.commitSoon([entry(1)]);
  expect((await store.audit(0, 10)).map(({ detail }) => detail['n'])).toEqual([1]);
  await soon;
  const more = [store.commitSoon([entry(2)]), store.commit([entry(3)]), store.commitSoon([entry(4)])];
  await store.close();
  await Promise.all(more);
  expect(await verify()).toBeNull();
  const again = openSqliteStore(path);
  expect((await again.audit(0, 10)).map(({ detail }) => detail['n'])).toEqual([1, 2, 3, 4]);
  await again.close();
});

test('a change that can’t be kept is refused alone and leaves the others and the chain whole', async () => {
  const store = openSqliteStore(path);
  const bad = { type: 'audit', entry: { at: null, action: 'bad', by: 'me', detail: {} } } as unknown as Change;
  const ends = await Promise.allSettled([
    store.commit([entry(1)]),
    store.commit([entry(2), bad]),
    store.commit([entry(3)]),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((await store.audit(0, 10)).map(({ detail }) => detail['n'])).toEqual([1, 3]);
  await store.close();
  expect(await verify()).toBeNull();
});

test.each([
  ['an edit', 'UPDATE audit SET detail = \'{"n":99}\' WHERE seq = 3', 'was changed'],
  ['a gap', 'DELETE FROM audit WHERE seq = 3', 'follows record 2'],
  ['a cut end', 'DELETE FROM audit WHERE seq = 5', 'is the last, but 5 were written'],
  [
    'a reordering',
    'UPDATE audit SET seq = 100 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 100',
    'does not hold the hash of the one before',
  ],
])('the audit shows %s', async (_, sql, problem) => {
  await written(5);
  tamper(sql);
  expect(await verify()).toBe(problem);
});

test('the file is for its owner alone', async () => {
  await written(1);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a second hub on the same file is refused while the first runs', async () => {
  const store = openSqliteStore(path);
  await store.commit([entry(1)]);
  expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code: 'ALREADY_RUNNING' }));
  await store.close();
  expect(await verify()).toBeNull();
});

test('a file that is no database, and one with a page overwritten, are reported and left as they are', async () => {
  await writeFile(path, 'this is not a database, and long enough to be taken for one'.repeat(100));
  expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
  await rm(path);
  await written(2000);
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(4096, 0xff), 0, 4096, 8192);
  await file.close();
  const before = (await stat(path)).size;
  expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
  expect((await stat(path)).size).toBe(before);
});
