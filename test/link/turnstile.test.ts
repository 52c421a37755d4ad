import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Turnstile } from '#src/link/turnstile.ts';
import { createTurnstile } from '#src/link/turnstile.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Who came through, in their order. */
function followed(turnstile: Turnstile) {
  const through: string[] = [];
  const visit = (name: string, address: string, signal = new AbortController().signal): void =>
    void turnstile.pass(address, signal).then(() => through.push(name));
  return { through, visit };
}

test('a burst passes at once, and then so many in a second', async () => {
  const { through, visit } = followed(createTurnstile({ perSecond: 10, burst: 3 }));
  for (let number = 1; number <= 8; number += 1) visit(`n${number}`, 'a');
  await vi.advanceTimersByTimeAsync(0);
  expect(through).toEqual(['n1', 'n2', 'n3']);
  await vi.advanceTimersByTimeAsync(205);
  expect(through).toEqual(['n1', 'n2', 'n3', 'n4', 'n5']);
  await vi.advanceTimersByTimeAsync(1000);
  expect(through).toHaveLength(8);
  expect(vi.getTimerCount()).toBe(0);
});

test('one address with many waits behind every other one', async () => {
  const { through, visit } = followed(createTurnstile({ perSecond: 10, burst: 1 }));
  for (let number = 1; number <= 100; number += 1) visit('flood', 'a');
  visit('b', 'b');
  visit('c', 'c');
  await vi.advanceTimersByTimeAsync(420);
  expect(through).toEqual(['flood', 'flood', 'b', 'c', 'flood']);
});

test('who is gone takes no turn, and what was not used in quiet times is no more than a burst', async () => {
  const { through, visit } = followed(createTurnstile({ perSecond: 10, burst: 2 }));
  const gone = new AbortController();
  visit('n1', 'a');
  visit('n2', 'a');
  visit('gone', 'a', gone.signal);
  visit('n3', 'a');
  gone.abort();
  await vi.advanceTimersByTimeAsync(105);
  expect(through).toEqual(['n1', 'n2', 'gone', 'n3']);
  await vi.advanceTimersByTimeAsync(60_000);
  for (let number = 1; number <= 5; number += 1) visit('later', 'a');
  await vi.advanceTimersByTimeAsync(0);
  expect(through.filter((name) => name === 'later')).toHaveLength(2);
  visit('early', 'a', AbortSignal.abort());
  await vi.advanceTimersByTimeAsync(0);
  expect(through).toContain('early');
});
