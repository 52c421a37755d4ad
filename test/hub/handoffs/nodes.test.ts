import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { TailnetMachine } from '#src/core/identity.ts';
import type { Member } from '#src/core/member.ts';
import { createAgentNodes } from '#src/hub/handoffs/nodes.ts';
import type { OfferedAgents } from '#src/hub/handoffs/offered.ts';
import { agentNode } from '../../support/agent-node.ts';
import { startFederation } from '../../support/federation.ts';
import { handoffWish } from '../../support/handoff.ts';
import { aMember } from '../../support/member.ts';

const machine = (stableId: string): TailnetMachine => ({ stableId, name: 'box', user: 'ann@example.com', tags: [] });

const NOW = aMember({ id: 'now', name: 'w1', tailnet: machine('n1') });
const PUT_OUT = { revokedAt: 1 } as const;

test.each<[string, boolean, readonly Member[]]>([
  [
    'the same node',
    true,
    [{ ...NOW, rotations: [{ from: 'before', to: 'now', at: 1 }] as unknown as Member['rotations'] }],
  ],
  ['one that was put out, of the same name', true, [NOW, aMember({ id: 'before', name: 'w1', ...PUT_OUT })]],
  [
    'one that was put out, of the same machine',
    true,
    [NOW, aMember({ id: 'before', name: 'old', tailnet: machine('n1'), ...PUT_OUT })],
  ],
  [
    'another that was put out',
    false,
    [NOW, aMember({ id: 'before', name: 'old', tailnet: machine('n2'), ...PUT_OUT })],
  ],
  ['two without a tailnet', false, [{ ...NOW, tailnet: null }, aMember({ id: 'before', name: 'old', ...PUT_OUT })]],
  // A machine may well be two nodes.
  [
    'another of the same machine that stands',
    false,
    [NOW, aMember({ id: 'before', name: 'w2', tailnet: machine('n1') })],
  ],
  ['one of which nothing is known', false, [NOW]],
])('whether work was at a node before, by an id of %s: %s', (_name, was, members) => {
  const all = new Map(members.map((member) => [member.id, member]));
  const offered = { of: () => [], changes: new EventEmitter() } as unknown as OfferedAgents;
  const nodes = createAgentNodes(() => all, { link: () => undefined }, offered);
  expect(nodes.wasAt(['before'], 'now')).toBe(was);
  expect(nodes.wasAt(['else', 'now'], 'now')).toBe(true);
  expect(nodes.wasAt([], 'now')).toBe(false);
});

test('whoever means the master is told that its gateway takes no handoffs, and no messages', async () => {
  await using federation = await startFederation();
  const master = agentNode(federation, 'hq', { role: 'master', token: await federation.token({ role: 'master' }) });
  await federation.untilOnline('hq');
  await master.offer();
  for (const target of ['hq', 'hq/main', master.node.key.id]) {
    const answers = [
      await federation.ask('POST', '/handoffs', handoffWish({ target })),
      await federation.ask('POST', '/messages', { key: 'm', target, message: 'hello' }),
    ];
    const refusal = { code: 'AGENT_NOT_FOUND', message: expect.stringContaining('and its gateway takes no handoffs') };
    expect(answers).toMatchObject([{ json: refusal }, { json: refusal }]);
  }
  expect((await federation.ask('POST', '/handoffs', handoffWish({ target: 'h' }))).json).toMatchObject({
    message: 'no agent and no node is called "h"',
  });
});
