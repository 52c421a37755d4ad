import { expect, test } from 'vitest';
import { BACK_OFF, patientDelayMs, retryDelayMs } from '#src/link/back-off.ts';

test('a retry comes after one to five seconds, whatever the luck and the number of failures', () => {
  for (const failures of [0, 1, 2, 3, 10, 1000, 1e9]) {
    for (const random of [0, 0.3, 0.999_999]) {
      const delay = retryDelayMs(BACK_OFF, failures, random);
      expect(delay).toBeGreaterThanOrEqual(1000);
      expect(delay).toBeLessThanOrEqual(5000);
    }
  }
});

test('the span of the jitter doubles up to the limit', () => {
  const longest = [0, 1, 2, 3].map((failures) => Math.round(retryDelayMs(BACK_OFF, failures, 0.999_999_9)));
  expect(longest).toEqual([2000, 4000, 5000, 5000]);
});

test('who waits for a person comes back after about a minute', () => {
  expect([0, 0.5, 0.999_999_9].map((random) => Math.round(patientDelayMs(BACK_OFF, random)))).toEqual([
    45_000, 60_000, 75_000,
  ]);
});
