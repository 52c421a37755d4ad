import { expect, test } from 'vitest';
import { forgettable } from '#src/core/handoff/forget.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';

function over(owner: string, count: number, endedAt = 1000, parent: string | null = null): HandoffRecord[] {
  return Array.from({ length: count }, (_, at) => {
    const record = { id: `${owner}${at}`, asker: { kind: 'operator', name: owner }, parent, endedAt };
    return record as unknown as HandoffRecord;
  });
}

const idsOf = (records: readonly HandoffRecord[]): readonly string[] => records.map(({ id }) => id).toSorted();

test('what is old is forgotten, and of what is not as much as may be is kept', () => {
  const kept = over('ann', 3);
  expect(idsOf(forgettable([...over('old', 2, 999), ...kept], { since: 1000, most: 3 }))).toEqual(['old0', 'old1']);
  expect(forgettable(kept, { since: 0, most: 3 })).toEqual([]);
});

test('of too many the oldest go of whoever has the most, and nobody else loses any', () => {
  const ann = over('ann', 3);
  const program = over('program', 10);
  const parts = over('part', 9, 1000, 'H1');
  const gone = forgettable([...program.slice(0, 5), ...ann, ...parts, ...program.slice(5)], { since: 0, most: 11 });
  expect(idsOf(gone)).toEqual(idsOf([...program.slice(0, 6), ...parts.slice(0, 5)]));
});
