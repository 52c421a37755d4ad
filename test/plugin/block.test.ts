import { expect, it } from 'vitest';
import { asCode, block, code, unlinked } from '#src/plugin/block.ts';

it.each([
  [['a'], '```\na\n```'],
  [['a', '```', 'b'], '````\na\n```\nb\n````'],
  [['x ```````', ''], '````````\nx ```````\n\n````````'],
])('a block ends where we end it: %j', (lines, text) => {
  expect(block(lines)).toBe(text);
});

it.each([
  ['home-server', 'home-server'],
  ['Sam’s Mac (old)', 'Sam’s Mac (old)'],
  ['书房', '书房'],
  ['', ''],
  ['a.example', '`a.example`'],
  ['@all', '`@all`'],
  ['[x](y)', '`[x](y)`'],
  ['a_b_', '`a_b_`'],
  ['a`b', '``a`b``'],
  ['`a``', '``` `a`` ```'],
])('%s is plain, or code', (text, shown) => {
  expect(asCode(text)).toBe(shown);
});

it('what is code is so whatever it holds', () => {
  expect(code('plain')).toBe('`plain`');
});

it.each([
  ['https://evil.example/x', 'https:∕∕evil․example/x'],
  ['see README.md and 45.2 % of 3.5 GB', 'see README․md and 45.2 % of 3.5 GB'],
  ['/stop @all #tag a@b.example', '∕stop ＠all ＃tag a＠b․example'],
  ['tg://user?id=1', 'tg:∕∕user?id=1'],
  ['10 / 20 # @ .', '10 / 20 # @ .'],
])('nothing in %s is a link, and it looks the same', (line, shown) => {
  expect(unlinked(line)).toBe(shown);
});
