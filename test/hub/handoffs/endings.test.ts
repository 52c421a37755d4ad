import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Book, Turn } from '#src/hub/handoffs/book.ts';
import { createEndings } from '#src/hub/handoffs/endings.ts';
import { createMirror } from '#src/hub/handoffs/mirror.ts';
import { eventLine, eventsAfter } from '#src/hub/handoffs/transcript.ts';

const WAITING = {
  ...{ id: '01KAFZ3V9Q0000000000000001', state: 'waiting', attempt: 1, tried: ['w1'], owed: ['w1'], base: 2 },
  ...{ node: null, agent: null, asker: { kind: 'operator', name: 'ann' }, createdAt: 0, startedAt: null },
} as unknown as HandoffRecord;

test('one that a hub began anew and never said so ends without a hole in its events', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'handoffs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const mirror = createMirror(await openMirrorFiles(folder), (error) => expect(error).toBeUndefined());
  const before = await mirror.hold(WAITING.id);
  before.append([eventLine(1, { type: 'started', attempt: 1, agent: 'main' })]);
  const turns: Turn[] = [];
  const change = async (_id: string, decide: (record: HandoffRecord) => Turn | null): Promise<HandoffRecord> => {
    turns.push(decide(WAITING)!);
    return WAITING;
  };
  const endings = createEndings({ change } as unknown as Book, (id) => mirror.hold(id));
  await endings.unplaced(WAITING, 'cancelled', 'ann asked for its end');
  expect(turns).toMatchObject([{ next: { state: 'lost', seq: 3 } }]);
  const said: HandoffEvent[] = [];
  for await (const event of eventsAfter(before, 0)) said.push(event);
  expect(said.map(({ seq, type }) => [seq, type])).toEqual([
    [1, 'started'],
    [2, 'restarted'],
  ]);
  before.release();
  await mirror.close();
});

test('what was heard has reached the medium before its end is told', async () => {
  const done: string[] = [];
  const mirrored = { seq: 5, settled: async () => void done.push('settled') };
  const change = async (): Promise<HandoffRecord> => {
    done.push('told');
    return WAITING;
  };
  const endings = createEndings({ change } as unknown as Book, () => Promise.reject(new Error('not asked')));
  const deed = { type: 'ended', outcome: 'completed', text: '', problem: null, usage: null } as const;
  const mirror = mirrored as unknown as Parameters<typeof endings.placed>[1];
  await endings.placed(WAITING.id, mirror, { deed, artefacts: [], isOwed: false });
  expect(done).toEqual(['settled', 'told']);
});
