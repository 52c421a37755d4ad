import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentView } from '#src/protocol/handoffs.ts';
import type { AgentGateway } from '../support/agent-gateway.ts';
import { agentGateway } from '../support/agent-gateway.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import type { Registered } from './plugin-under-test.ts';
import { OWNERS_HOOK, OWNERS_TURN, registered, textOf } from './plugin-under-test.ts';

const PART = { target: 'mac/main', task: 'say yes', context: 'of today', files: [{ name: 'a.txt', content: 'hi' }] };
let gateway: AgentGateway;
let federation: Federation;
let plugin: Registered;

beforeEach(async () => {
  gateway = await agentGateway(async ({ message }) => message.split('\n')[0] ?? '');
  federation = await startFederation();
  const worker = { tools: { gatewaySettings: gateway.settingsFile } };
  const token = await federation.token({ role: 'hybrid' });
  await federation.start('mac', { settings: { role: 'hybrid', worker }, token });
  await eventually('its agents are there', async () => (await federation.get<AgentView[]>('/agents')).length > 0);
  plugin = registered(federation.hub.plugin ?? '');
});
afterEach(async () => {
  await federation[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

async function call(tool: string, parameters: object): Promise<string> {
  const made = plugin.tools.get(tool)!(OWNERS_TURN);
  return textOf(await made.execute('call-1', parameters, undefined, undefined));
}

async function answer(tool: string, params: object, decision: 'allow-once' | 'deny'): Promise<string> {
  const hook = plugin.hooks.get('before_tool_call')!;
  const judged = await hook({ toolName: tool, params, toolCallId: 'call-1' }, OWNERS_HOOK);
  await judged?.requireApproval?.onResolution(decision);
  return judged?.requireApproval?.description ?? '';
}

it('lets an agent of a hybrid do what the owner was shown, once, and nothing else', async () => {
  const shown = await answer('cluster_handoff', PART, 'allow-once');
  expect(shown).toContain('on mac (hybrid): have the agent main do: say yes and knows: of today with a.txt (2 bytes');
  expect(shown).toContain('content: a.txt: hi');
  expect(await call('cluster_handoff', PART)).toMatch(/^mac\/main \([0-9a-f]{12}\): completed, .*\n\| say yes$/);
  await expect(call('cluster_handoff', PART)).rejects.toThrow('the owner has to allow this on mac');

  await answer('cluster_handoff', PART, 'allow-once');
  const other = { ...PART, files: [{ name: 'a.txt', content: 'ho' }] };
  await expect(call('cluster_handoff', other)).rejects.toThrow('the owner has to allow this on mac');
  expect(gateway.runs).toHaveLength(1);
});

it('does nothing there that the owner denied, or was never asked for', async () => {
  await answer('cluster_handoff', PART, 'deny');
  await expect(call('cluster_handoff', PART)).rejects.toThrow('the owner has to allow this on mac');
  await expect(call('cluster_handoff', { ...PART, target: 'mac' })).rejects.toThrow('name it as MACHINE/AGENT');
  await expect(call('cluster_send', { target: 'mac', message: 'hello' })).rejects.toThrow('name it as MACHINE/AGENT');
  expect(gateway.runs).toHaveLength(0);
});

it('tells an agent of a hybrid what the owner was shown', async () => {
  const message = { target: 'mac/main', message: 'the backup moved' };
  expect(await answer('cluster_send', message, 'allow-once')).toContain('tell the agent main: the backup moved');
  expect(await call('cluster_send', message)).toBe('mac/main has it');
  expect(gateway.runs.map((run) => run.message)).toEqual(['the backup moved']);
});
