import { expect, test } from 'vitest';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import type { Asker } from '#src/core/policy.ts';
import { createCommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import { createPermits } from '#src/hub/approvals/permits.ts';
import { createNodeTools } from '#src/hub/tools/tools.ts';
import { OWNER } from '../support/chat.ts';
import { SILENT_LOG } from '../support/member.ts';

const MAC = { id: 'd'.repeat(64), name: 'macbook' };
const COMMANDS = ['camera.snap', 'computer.act', 'terminal.upload', 'sms.send', 'contacts.search', 'what.is.new'];

/** A node that runs OpenClaw’s app alone, and the hub’s word on who may do what there. */
function lightNode() {
  const store = { commit: async () => undefined, commitSoon: async () => undefined };
  let ids = 0;
  const createId = () => `a${(ids += 1)}`;
  const approvals = createCommandApprovals({ store, createId, lifeMs: 60_000 });
  const permits = createPermits({
    approvals,
    targets: () => {
      throw new Error('it is no member');
    },
    lightNode: (word) => (word === MAC.name ? MAC : null),
    isOnline: () => true,
    denied: () => null,
  });
  const invoked: string[] = [];
  const tools = createNodeTools({
    find: () => ({ ...MAC, member: null }),
    fleet: { link: () => undefined },
    ...{ permits, store, createId },
    gateway: {
      nodes: () => new Map([[MAC.id, { connected: true, commands: COMMANDS } as unknown as GatewayNode]]),
      invoke: async (_, command) => void invoked.push(command),
    },
    log: SILENT_LOG,
  });
  const call = (tool: string, asker: Asker = OWNER, approval?: string) =>
    tools.call(MAC.name, { tool, args: {}, timeoutMs: 1000, approval }, asker, new AbortController().signal);
  const ask = (tool: string, asker: Asker = OWNER) =>
    permits.verdicts({ targets: [MAC.name], action: { kind: 'tool', tool, args: {} } }, asker);
  return { approvals, invoked, call, ask };
}

test('the owner may look at it from a chat without being asked', async () => {
  const { invoked, call, ask } = lightNode();
  expect(await ask('node:camera.snap')).toMatchObject({ targets: [{ verdict: 'allow' }], approval: null });
  await call('node:camera.snap');
  expect(invoked).toEqual(['camera.snap']);
});

test.each(COMMANDS.slice(1))('%s there needs the owner’s word for this very call', async (command) => {
  const { approvals, invoked, call, ask } = lightNode();
  const tool = `node:${command}`;
  await expect(call(tool)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  const { targets, approval } = await ask(tool);
  expect(targets).toMatchObject([{ node: MAC.name, id: MAC.id, verdict: 'approval' }]);
  expect(approval?.question).toContain(`on macbook: use the tool ${tool}`);
  await approvals.answer(approval!.id, 'allow-once', 'telegram:1001');
  await expect(call('node:sms.other', OWNER, approval!.id)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  expect(invoked).toEqual([]);
  await call(tool, OWNER, approval!.id);
  expect(invoked).toEqual([command]);
  await expect(call(tool, OWNER, approval!.id)).rejects.toMatchObject({ code: 'APPROVAL_OVER' });
});

test('an operator is not asked, and somebody else in a chat is refused', async () => {
  const { invoked, call } = lightNode();
  await expect(call('node:camera.snap', { ...OWNER, owner: false })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await call('node:computer.act', { kind: 'operator', name: 'ann' });
  expect(invoked).toEqual(['computer.act']);
});
