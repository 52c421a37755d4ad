import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { showWaiting } from '#src/cli/deploy/waiting.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function waiting(isTTY: boolean) {
  const said: string[] = [];
  const drawn: string[] = [];
  const stream = { isTTY, write: (text: string | Uint8Array) => drawn.push(String(text)) > 0 };
  return { said, drawn, ...showWaiting((line) => void said.push(line), stream) };
}

test('in a pipe a long wait has a line every 15 s', () => {
  const { line, end, said, drawn } = waiting(false);
  line('the hub runs');
  vi.advanceTimersByTime(31_000);
  line('w1 is online');
  vi.advanceTimersByTime(14_000);
  end();
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual([
    'the hub runs',
    'still at it, 15 s after: the hub runs',
    'still at it, 30 s after: the hub runs',
    'w1 is online',
  ]);
  expect(drawn).toEqual([]);
});

test('on a terminal the seconds are shown in a line that goes before the next one', () => {
  const { line, end, said, drawn } = waiting(true);
  line('the hub runs');
  vi.advanceTimersByTime(4000);
  const clear = '\r\u001b[2K';
  expect(drawn).toEqual([`${clear}3 s …\r`, `${clear}4 s …\r`]);
  line('w1 is online');
  expect(drawn.at(-1)).toBe(clear);
  end();
  vi.advanceTimersByTime(60_000);
  expect(drawn).toHaveLength(3);
  expect(said).toEqual(['the hub runs', 'w1 is online']);
});
