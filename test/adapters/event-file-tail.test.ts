import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEventFile } from '#src/adapters/store/event-file.ts';

test('what is read while the file grows is what the file holds, be it near its end or far behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-events-'));
  const path = join(folder, 'events.ndjson');
  const file = await openEventFile(path);
  const read: { readonly offset: number; readonly chunk: Buffer }[] = [];
  let offset = 0;
  // Short and long ones, over the end that is kept in memory many times.
  for (let seq = 1; seq <= 300; seq++) {
    file.append(JSON.stringify({ seq, text: String(seq % 10).repeat(seq % 50 === 0 ? 300_000 : 5000) }));
    const chunk = Buffer.alloc(file.size - offset);
    expect(await file.read(offset, chunk)).toBe(chunk.length);
    read.push({ offset, chunk });
    offset += chunk.length;
    const earlier = Buffer.alloc(100_000);
    const from = Math.max(0, offset - seq * 997);
    read.push({ offset: from, chunk: earlier.subarray(0, await file.read(from, earlier)) });
  }
  expect(await file.read(offset, Buffer.alloc(10))).toBe(0);
  const whole = await readFile(path);
  expect(whole).toHaveLength(file.size);
  for (const { offset: at, chunk } of read) expect(whole.subarray(at, at + chunk.length).equals(chunk)).toBe(true);
  await file.close();
  await rm(folder, { recursive: true });
});
