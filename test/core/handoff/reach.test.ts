import { expect, test } from 'vitest';
import { isForeignCard } from '#src/core/handoff/foreign.ts';
import { isAgentPattern, mayReach, reaches } from '#src/core/handoff/reach.ts';

const BOX = { node: 'box', role: 'worker', agent: 'coder' } as const;
const LAPTOP = { node: 'laptop', role: 'hybrid', agent: 'main' } as const;

test.each<[readonly string[], boolean, boolean]>([
  [[], false, false],
  [['*/*'], true, false],
  [['box/*'], true, false],
  [['box/writer'], false, false],
  [['lap*/main'], false, false],
  [['laptop/*'], false, true],
  [['box/coder', 'laptop/main'], true, true],
])('%j is for an agent of a worker: %s, and of somebody’s own machine: %s', (patterns, box, laptop) => {
  expect([reaches(patterns, BOX), reaches(patterns, LAPTOP)]).toEqual([box, laptop]);
});

test('a program may do nothing but hand work to the agents of its key', () => {
  const program = { kind: 'operator', name: 'planner@a2a', agents: ['box/*'] } as const;
  expect([mayReach(program, BOX), mayReach(program, LAPTOP), mayReach(program, null)]).toEqual([true, false, false]);
  expect(mayReach({ kind: 'operator', name: 'ann' }, null)).toBe(true);
});

test('a pattern has one node and one agent', () => {
  for (const text of ['box/coder', '*/*', 'b*x/co.der-1_*']) expect(isAgentPattern(text)).toBe(true);
  for (const text of ['', 'box', 'box/', '/x', 'a/b/c', 'a b/c', 'ä/b', `${'x'.repeat(129)}/y`]) {
    expect(isAgentPattern(text)).toBe(false);
  }
});

test('a foreign card is at an https URL, or on this machine', () => {
  for (const url of ['https://a.example/card.json', 'http://127.0.0.1:1/x', 'http://localhost/x', 'http://[::1]:8/x']) {
    expect(isForeignCard(url)).toBe(true);
  }
  for (const url of [
    'http://a.example/x',
    'file:///etc/passwd',
    'https://u:p@a.example/x',
    'x',
    'http://127.0.0.1.evil/x',
  ]) {
    expect(isForeignCard(url)).toBe(false);
  }
});
