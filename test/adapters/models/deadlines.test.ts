import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDeadlines } from '#src/adapters/models/deadlines.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] }));
afterEach(() => void vi.useRealTimers());

test('each passes at its own time, however it was set among others', () => {
  const passed: string[] = [];
  const deadlines = createDeadlines();
  const [long, short, moved, cleared] = ['long', 'short', 'moved', 'cleared'].map((name) =>
    deadlines.create(() => passed.push(`${name} ${Math.round(performance.now() - began)}`)),
  );
  const began = performance.now();
  long!.set(1000);
  moved!.set(100);
  cleared!.set(150);
  short!.set(200);
  vi.advanceTimersByTime(90);
  moved!.set(500);
  cleared!.clear();
  vi.advanceTimersByTime(2000);
  // The fake clock counts a millisecond for the look at what has come.
  expect(passed).toEqual(['short 201', 'moved 591', 'long 1001']);
});

test('one that is set anew when it passed passes again, and days beyond a timer of Node are no shorter', () => {
  const deadlines = createDeadlines();
  let times = 0;
  const again = deadlines.create(() => {
    times += 1;
    if (times < 3) again.set(10);
  });
  again.set(10);
  vi.advanceTimersByTime(1000);
  expect(times).toBe(3);
  again.set(2 ** 31 + 5000);
  vi.advanceTimersByTime(2 ** 31 - 1);
  expect(times).toBe(3);
  vi.advanceTimersByTime(6000);
  expect(times).toBe(4);
});
