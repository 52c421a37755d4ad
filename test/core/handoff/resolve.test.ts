import { expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { AgentNode } from '#src/core/handoff/resolve.ts';
import { leastLoaded, resolveTarget } from '#src/core/handoff/resolve.ts';

const agent = (id: string, tags: readonly string[] = [], concurrency = 1) => ({
  ...{ id, tags, concurrency, description: '' },
});

const node = (name: string, part: Partial<AgentNode> = {}): AgentNode => ({
  ...{ id: `${Buffer.from(name).toString('hex')}`.padEnd(64, '0'), name, labels: {}, groups: [], tailnet: null },
  ...{ isOnline: true, drained: false, agents: [agent('main')] },
  ...part,
});

const nodes = [
  node('w1', { agents: [agent('main'), agent('coder', ['coding'])], labels: { gpu: 'yes' } }),
  node('w2', { agents: [agent('coder', ['coding', 'fast'])], groups: ['lab'] }),
  node('w3', { agents: [] }),
  node('w4', { isOnline: false, agents: [] }),
  node('w5', { drained: true, agents: [agent('coder', ['coding']), agent('alone')], labels: { gpu: 'yes' } }),
  node('w6', { agents: null }),
];

const meant = (target: string) => {
  const { node: only, places } = resolveTarget(nodes, target);
  return { only: only?.name ?? null, places: places.map((place) => `${place.node.name}/${place.agent.id}`) };
};

test.each([
  ['w1', 'w1', ['w1/main']],
  ['w1/coder', 'w1', ['w1/coder']],
  ['w5', 'w5', ['w5/coder']],
  ['w5/alone', 'w5', ['w5/alone']],
  ['coder', null, ['w1/coder', 'w2/coder']],
  ['tags:coding', null, ['w1/coder', 'w2/coder']],
  ['tag:fast', null, ['w2/coder']],
  // Of nodes, where no agent has it: their first.
  ['tags:gpu', null, ['w1/main']],
  ['gpu=yes', null, ['w1/main']],
  ['@lab', null, ['w2/coder']],
  // Not there, or not heard of yet: it waits.
  ['w4', 'w4', []],
  ['w4/any', 'w4', []],
  ['w6', 'w6', []],
  [`${Buffer.from('w2').toString('hex')}`, 'w2', ['w2/coder']],
])('%s means %s %o', (target, only, places) => {
  expect(meant(target)).toEqual({ only, places });
});

test.each([
  ['nobody', 'AGENT_NOT_FOUND', 'no agent and no node is called "nobody"'],
  ['alone', 'AGENT_NOT_FOUND', 'no agent and no node is called "alone"'],
  ['w3', 'AGENT_NOT_FOUND', 'w3 offers no agents'],
  ['w3/main', 'AGENT_NOT_FOUND', 'w3 offers no agents'],
  ['w1/none', 'AGENT_NOT_FOUND', 'w1 offers no agent "none"'],
  ['nobody/main', 'NODE_NOT_FOUND', 'no node is named "nobody"'],
  ['w1/', 'USAGE', '"w1/" names no agent'],
  ['/main', 'USAGE', '"/main" names no node'],
  ['tags:none', 'AGENT_NOT_FOUND', 'no agent that is there fits "tags:none"'],
  ['gpu=no', 'AGENT_NOT_FOUND', 'no agent that is there fits "gpu=no"'],
  ['self/os=linux', 'USAGE', 'self/os is what a node says of itself, and selects nobody'],
])('%s is refused with %s: %s', (target, code, message) => {
  const refused = refusalOf(() => meant(target));
  expect({ code: refused.code, message: refused.message }).toEqual({ code, message });
  expect(refused.hint).not.toBe('');
});

function refusalOf(work: () => unknown): FederationError {
  try {
    work();
  } catch (error) {
    if (error instanceof FederationError) return error;
  }
  throw new Error('it was not refused');
}

test('what is there is named to who asks for something else', () => {
  expect(refusalOf(() => meant('nobody')).hint).toContain('w1/main, w1/coder, w2/coder');
  expect(refusalOf(() => meant('w1/none')).hint).toBe('it offers main, coder');
});

test('two nodes of one name are not guessed between', () => {
  const twins = [node('twin', { id: 'a'.repeat(64) }), node('twin', { id: 'b'.repeat(64) })];
  expect(refusalOf(() => resolveTarget(twins, 'twin')).code).toBe('NODE_AMBIGUOUS');
  expect(refusalOf(() => resolveTarget(twins, 'twin/main')).code).toBe('NODE_AMBIGUOUS');
});

test('no node takes what is meant for another by calling an agent as that is called', () => {
  const thief = node('thief', { agents: [agent('w1')] });
  const { places } = resolveTarget([thief, ...nodes], 'w1');
  expect(places.map((place) => place.node.name)).toEqual(['w1']);
});

test('the place with the most room comes first, then the name', () => {
  const wide = node('w10', { agents: [agent('coder', [], 4)] });
  const { places } = resolveTarget([wide, ...nodes], 'coder');
  const first = (loads: Record<string, number>) =>
    leastLoaded(places, (place) => loads[place.node.name] ?? 0)?.node.name;
  expect(first({})).toBe('w1');
  expect(first({ w1: 1 })).toBe('w2');
  expect(first({ w1: 1, w2: 1 })).toBe('w10');
  expect(first({ w1: 1, w2: 1, w10: 3 })).toBe('w10');
  expect(first({ w1: 1, w2: 1, w10: 5 })).toBe('w1');
  expect(leastLoaded([], () => 0)).toBeUndefined();
});
