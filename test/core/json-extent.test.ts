import { expect, it } from 'vitest';
import { isWithin } from '#src/core/json-extent.ts';

const fits = (json: string, depth = 3, values = 6) => isWithin(Buffer.from(json), { depth, values });

it.each([
  ['[[[]]]', true],
  ['[[[[]]]]', false],
  ['{"a":{"b":{}}}', true],
  ['{"a":{"b":[{}]}}', false],
  ['[[],[]]', true],
  ['[1,2,3,4,5]', true],
  ['[1,2,3,4,5,6]', false],
  [`""""""""""""`, false],
  ['[{},{}]', true],
  ['[{},{},{}]', false],
  ['"[[[[[[[,,,,,,,,,"', true],
  [String.raw`["\"[[[[[[,,,,,"]`, true],
  [String.raw`["\\\\",[[[[]]]]]`, false],
  [String.raw`["\\\"",[[[[]]]]]`, false],
  ['"no end [[[[[[', true],
  ['', true],
])('takes %s: %j', (json, isTaken) => {
  expect(fits(json)).toBe(isTaken);
});
