import { expect, test } from 'vitest';
import type { CommandApproval, Use } from '#src/core/command-approval.ts';
import { answered, isOpen, used } from '#src/core/command-approval.ts';
import type { ChatAsker } from '#src/core/policy.ts';

const asker: ChatAsker = { kind: 'chat', channel: 'telegram', sender: '1', owner: true, agent: 'main', session: 's' };
const pending: CommandApproval = {
  ...{ id: '0'.repeat(26), asker, action: 'a'.repeat(64), nodes: ['n1', 'n2'], question: 'on n1, n2: run: df' },
  ...{ state: 'pending', by: null, endsAt: 100 },
};
const use: Use = { asker, action: pending.action, nodes: pending.nodes };
const answer = (approval: CommandApproval, allow: boolean, now = 50) =>
  answered(approval, { allow, by: 'telegram:1', now, lifeMs: 100 });
const allowed = answer(pending, true);
const denied = answer(pending, false);

test('an approval is asked for, allowed, and used once', () => {
  expect(allowed).toEqual({ ...pending, state: 'allowed', by: 'telegram:1', endsAt: 150 });
  const spent = used(allowed, use, 149);
  expect(spent).toEqual({ ...allowed, state: 'used' });
  expect(() => used(spent, use, 149)).toThrow('used already');
});

test('the first answer counts, whichever it is', () => {
  for (const first of [allowed, denied, used(allowed, use, 60)]) {
    for (const allow of [true, false]) expect(() => answer(first, allow)).toThrow(/by telegram:1 already/);
  }
});

test('what was denied, or not answered, is not done', () => {
  expect(() => used(denied, use, 60)).toThrow('denied by telegram:1');
  expect(() => used(pending, use, 60)).toThrow('nobody has allowed');
});

test('the time for an answer ends, and that for the use after it', () => {
  expect(() => answer(pending, true, 100)).toThrow('time is over');
  expect(() => answer(pending, false, 100)).toThrow('time is over');
  expect(() => used(allowed, use, 150)).toThrow('time is over');
  expect([pending, allowed, denied].map((one) => [isOpen(one, 60), isOpen(one, 200)])).toEqual([
    [true, false],
    [true, false],
    [false, false],
  ]);
});

test('the order of nodes and a node that is named twice make no difference', () => {
  expect(used(allowed, { ...use, nodes: ['n2', 'n1', 'n2'] }, 60).state).toBe('used');
});

test.each<[string, Partial<Use>]>([
  ['another action', { action: 'b'.repeat(64) }],
  ['another node', { nodes: ['n1', 'n3'] }],
  ['one node less', { nodes: ['n1'] }],
  ['one node more', { nodes: ['n1', 'n2', 'n3'] }],
  ['no node', { nodes: [] }],
  ['another sender', { asker: { ...asker, sender: '2' } }],
  ['another channel', { asker: { ...asker, channel: 'discord' } }],
  ['another agent', { asker: { ...asker, agent: 'other' } }],
  ['another session', { asker: { ...asker, session: 't' } }],
  ['no session', { asker: { ...asker, session: undefined } }],
  ['one who is not the owner', { asker: { ...asker, owner: false } }],
])('an approval is of no use for %s', (_, other) => {
  for (const approval of [pending, allowed, denied]) {
    expect(() => used(approval, { ...use, ...other }, 60)).toThrow(
      expect.objectContaining({ code: 'APPROVAL_NEEDED' }),
    );
  }
});
