import { expect, it } from 'vitest';
import { keptOutput } from '#src/plugin/kept-output.ts';

function shown(output: string, limit = 1024): string {
  const kept = keptOutput(limit);
  kept.push(Buffer.from(output));
  return kept.text();
}

it.each([
  ['10 %\r50 %\r100 %\ndone\n', '100 %\ndone\n'],
  ['10 %\r\n50 %\r\n', '10 %\n50 %\n'],
  ['10 %\r50 %\r', '50 %'],
  ['kept\r\r\nas well\r\r', 'kept\nas well'],
  ['\r\r\r\n\r', '\n'],
])('shows %j as a terminal has it in the end', (output, text) => {
  expect(shown(output)).toBe(text);
});

/** With work that grows with the square of a line, this takes minutes, in which no chat is answered. */
it.each(['a', '\r', 'a\r'])('takes a long line of %j in its stride', (unit) => {
  const line = unit.repeat((128 << 10) / unit.length);
  expect(shown(line, line.length).length).toBe(unit === 'a' ? line.length : unit.length - 1);
});
