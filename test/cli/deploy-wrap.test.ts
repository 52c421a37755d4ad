import { expect, test } from 'vitest';
import { wrapped } from '#src/cli/deploy/wrap.ts';

test.each<[string, number, readonly string[]]>([
  ['what fits stays', 18, ['  - what fits', '    stays']],
  ['what fits stays', 19, ['  - what fits stays']],
  ['/a/path/that/is/longer/than/a/line is there', 20, ['  - /a/path/that/is/longer/than/a/line', '    is there']],
  ['two\nlines', 80, ['  - two', '    lines']],
  ['日本 日本 日本', 14, ['  - 日本 日本', '    日本']],
  ['\u001b[1mtwo words\u001b[22m', 9, ['  - \u001b[1mtwo\u001b[22m', '    \u001b[1mwords\u001b[22m']],
  ['no room', 2, ['  - no', '    room']],
  ['', 80, ['  - ']],
])('%j in %d columns', (text, width, lines) => {
  expect(wrapped('  - ', text, width)).toEqual(lines);
});

test('what goes into a pipe is one line', () => {
  const text = 'word '.repeat(1000).trim();
  expect(wrapped('note: ', text, Infinity)).toEqual([`note: ${text}`]);
});
