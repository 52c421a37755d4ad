import { expect, test } from 'vitest';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';
import type { AgentNode } from '../../support/agent-node.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { chatAt, OWNER } from '../../support/chat.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { sha256 } from '../../support/files.ts';
import { handoffWish, untilState } from '../../support/handoff.ts';
import type { Answer } from '../../support/http.ts';

const NOTE = Buffer.from('a note');
const FILES = [{ name: 'note.txt', content: NOTE.toString('base64') }];
const WORK = { task: 'mend nginx', context: 'of /srv', files: FILES };

async function hybrid(federation: Federation, name: string): Promise<AgentNode> {
  const token = await federation.token({ role: 'hybrid' });
  const node = await offeringNode(federation, name, [{ id: 'main' }, { id: 'other' }], { role: 'hybrid', token });
  node.onTaken = (taken) => node.start(taken);
  return node;
}

const handed = (federation: Federation, wish: Partial<HandoffCreate>, who = OWNER): Promise<Answer> =>
  chatAt(federation.hub, who).ask('POST', '/handoffs', handoffWish({ ...WORK, target: 'laptop/main', ...wish }));

async function allowed(federation: Federation, node: string): Promise<string> {
  const files = [{ name: 'note.txt', size: NOTE.length, sha256: sha256(NOTE) }];
  const action = { kind: 'handoff' as const, agent: 'main', task: WORK.task, context: WORK.context, files };
  const { approval } = await chatAt(federation.hub).verdicts({ targets: [node], action });
  await chatAt(federation.hub).decide(approval!.id, 'allow-once');
  return approval!.id;
}

test('the owner’s word is for this agent, this task, this context and these files on this machine', async () => {
  await using federation = await startFederation();
  const laptop = await hybrid(federation, 'laptop');
  const studio = await hybrid(federation, 'studio');
  expect(await handed(federation, {})).toMatchObject({ json: { code: 'APPROVAL_NEEDED' } });
  const approval = await allowed(federation, 'laptop');
  for (const other of [
    { target: 'laptop/other' },
    { target: 'studio/main' },
    { task: 'mend nginx ' },
    { context: '' },
    { files: [] },
    { files: [{ ...FILES[0]!, name: 'other.txt' }] },
    { files: [{ ...FILES[0]!, content: Buffer.from('a nota').toString('base64') }] },
  ]) {
    const answer = await handed(federation, { ...other, approval });
    expect({ other, json: answer.json }).toMatchObject({ json: { code: 'APPROVAL_NEEDED' } });
  }
  expect((await handed(federation, { approval }, { ...OWNER, owner: false })).status).toBe(403);
  const { status, json } = await handed(federation, { approval });
  expect({ status, json }).toMatchObject({ status: 201, json: { asker: 'telegram:1001' } });
  const { id } = json as HandoffView;
  await untilState(federation, id, 'started');
  const { order } = laptop.taken.get(id)!;
  expect(order).toMatchObject({ approval: { id: approval, node: laptop.node.key.id }, files: FILES, agent: 'main' });
  // Used once.
  expect(await handed(federation, { approval })).toMatchObject({ json: { code: 'APPROVAL_OVER' } });
  expect(laptop.taken.size + studio.taken.size).toBe(1);
});

test('what one machine was approved for goes to no other, whatever that would take', async () => {
  await using federation = await startFederation();
  const laptop = await hybrid(federation, 'laptop');
  const studio = await hybrid(federation, 'studio');
  const worker = await offeringNode(federation, 'w1');
  await worker.offer([]);
  laptop.mishap = (what) => (what === 'POST /handoffs' ? { code: 'QUEUE_FULL' } : undefined);
  const approval = await allowed(federation, 'laptop');
  const { json } = await handed(federation, { target: 'main', approval, queueTimeoutMs: 1000, rerunnable: true });
  const { id } = json as HandoffView;
  await eventually('it was refused', () => laptop.asked.includes('POST /handoffs'));
  await worker.offer();
  const { problem } = await untilState(federation, id, 'expired');
  expect(problem).toContain('laptop: as the test says');
  expect([laptop, studio, worker].map(({ taken }) => taken.size)).toEqual([0, 0, 0]);
});
