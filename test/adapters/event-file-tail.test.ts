import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEventFile } from '#src/adapters/store/event-file.ts';

test('what was read stays as it was while the file grows, and is what the file holds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-events-'));
  const path = join(folder, 'events.ndjson');
  const file = await openEventFile(path);
  const read: { readonly offset: number; readonly chunk: Buffer }[] = [];
  let offset = 0;
  // Short and long ones, over the end that is kept in memory many times.
  for (let seq = 1; seq <= 300; seq++) {
    file.append(JSON.stringify({ seq, text: String(seq % 10).repeat(seq % 50 === 0 ? 300_000 : 5000) }));
    const chunk = await file.read(offset, file.size - offset);
    read.push({ offset, chunk });
    offset += chunk.length;
  }
  const whole = await readFile(path);
  expect(whole).toHaveLength(file.size);
  for (const { offset: at, chunk } of read) expect(whole.subarray(at, at + chunk.length).equals(chunk)).toBe(true);
  await file.close();
  await rm(folder, { recursive: true });
});
