import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { askerOfCommand, askerOfHook, askerOfTool } from '#src/plugin/asker.ts';
import { CLUSTER_TOOLS } from '#src/plugin/tools.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { NODE_ID, refuses } from '../support/chat-hub.ts';
import { eventually } from '../support/eventually.ts';
import type { PluginUnderTest } from './plugin-under-test.ts';
import { pluginUnderTest, registered } from './plugin-under-test.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OPERATOR = { kind: 'chat', channel: 'openclaw', sender: 'operator', owner: true };
const NOBODY = { kind: 'chat', channel: 'openclaw', sender: 'nobody', owner: false };
const STATUS: Pick<Status, 'name' | 'version' | 'nodes' | 'pending' | 'jobs' | 'lockdown'> & { gateway: object } = {
  name: 'vps',
  version: '0.1.0',
  nodes: { online: 2, suspect: 0, offline: 1, revoked: 0, quarantined: 0 },
  pending: 1,
  jobs: { running: 0 },
  gateway: { state: 'connected', url: null, version: null, problem: null },
  lockdown: null,
};
const WAITING = {
  kind: 'join',
  id: 'cd'.repeat(32),
  name: 'new-box',
  role: 'worker',
  fingerprint: 'AAAA-BBBB',
  address: '100.64.0.9',
  tailnet: null,
  risks: ['runs any command'],
  held: null,
  rejected: false,
} satisfies Partial<PairingRequestView>;

let plugin: PluginUnderTest;

beforeEach(async () => {
  plugin = await pluginUnderTest();
});
afterEach(() => plugin[Symbol.asyncDispose]());

describe('the manifest', () => {
  const manifest = async () =>
    JSON.parse(await readFile(join(ROOT, 'openclaw.plugin.json'), 'utf8')) as {
      version: string;
      contracts: { tools: string[] };
      toolMetadata: object;
      cliCommands: { name: string }[];
      skills: string[];
    };

  it('names every tool and command that the plugin registers, and no other', async () => {
    const { contracts, toolMetadata, cliCommands } = await manifest();
    expect(contracts.tools).toEqual([...plugin.tools.keys()]);
    expect(Object.keys(toolMetadata)).toEqual(contracts.tools);
    expect(cliCommands.map(({ name }) => name)).toEqual(plugin.cli);
  });

  it('is of the version of the package, which names the entry that is built', async () => {
    const about = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      version: string;
      files: string[];
      openclaw: { extensions: string[] };
    };
    expect((await manifest()).version).toBe(about.version);
    expect(about.openclaw.extensions).toEqual(['./plugin/main.js']);
    expect(about.files).toEqual(expect.arrayContaining(['openclaw.plugin.json', 'skills', 'dist']));
  });

  it('brings skills that a model finds, and that are no commands of a chat', async () => {
    const names = await readdir(join(ROOT, 'skills'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const text = await readFile(join(ROOT, 'skills', name, 'SKILL.md'), 'utf8');
      const said = parse(text.split('---\n')[1] ?? '') as Record<string, unknown>;
      expect(said).toMatchObject({
        name,
        'user-invocable': false,
        description: expect.stringContaining('cluster_exec'),
      });
      expect(String(said['description']).length).toBeLessThan(160);
      expect(plugin.commands.map((command) => command.name)).not.toContain(name);
    }
  });
});

it('tells a model what each tool takes, in a schema that a provider reads', () => {
  for (const { name, parameters } of CLUSTER_TOOLS) {
    const made = plugin.tools.get(name)!({});
    expect(made.parameters).toMatchObject({ type: 'object', additionalProperties: false });
    expect(JSON.stringify(made.parameters)).not.toMatch(/"(?:\$schema|propertyNames)"/);
    expect(made.description.length).toBeLessThan(400);
    expect(parameters).toBeInstanceOf(z.ZodType);
  }
  expect(plugin.tools.get('cluster_exec')!({}).parameters).toMatchObject({ required: ['node', 'command'] });
});

it('opens nothing and starts nothing while OpenClaw only looks what there is', () => {
  const known = registered('/nowhere', 'cli-metadata');
  expect(known).toMatchObject({ cli: ['federation'], commands: [], services: [] });
  expect(known.tools.size + known.methods.size + known.hooks.size).toBe(0);
});

describe('who asks', () => {
  it('is the sender of a chat, with the agent that acts on it', () => {
    const session = { agentId: 'main', sessionKey: 's' };
    const wanted = { kind: 'chat', channel: 'telegram', sender: '7', owner: false, agent: 'main', session: 's' };
    const tool = { messageChannel: 'telegram', requesterSenderId: '7', senderIsOwner: false };
    expect(askerOfTool({ ...session, ...tool })).toEqual(wanted);
    const requester = { channel: 'telegram', senderId: '7', senderIsOwner: false };
    expect(askerOfHook({ ...session, requester })).toEqual(wanted);
  });

  it('is the operator by the gateway’s own ways, and only where OpenClaw says so', () => {
    expect(askerOfTool({ senderIsOwner: true })).toEqual(OPERATOR);
    expect(askerOfTool({ messageChannel: 'webchat', senderIsOwner: true })).toEqual(OPERATOR);
    expect(askerOfTool({ messageChannel: 'webchat' })).toEqual(NOBODY);
    expect(askerOfTool({})).toEqual(NOBODY);
    expect(askerOfHook({})).toEqual(OPERATOR);
    expect(askerOfHook({ requester: {} })).toEqual(NOBODY);
    expect(askerOfCommand({ channel: 'webchat', gatewayClientScopes: ['operator.admin'] })).toEqual(OPERATOR);
  });

  it('is nobody in the turn of a chat that nobody wrote, whatever OpenClaw calls it', () => {
    const chat = { messageChannel: 'telegram', senderIsOwner: true, agentId: 'main', sessionKey: 'agent:main:main' };
    const nobody = { ...NOBODY, agent: 'main', session: 'agent:main:main' };
    expect(askerOfTool(chat)).toEqual(nobody);
    expect(askerOfTool({ ...chat, requesterSenderId: '' })).toEqual(nobody);
    const requester = { channel: 'telegram', accountId: 'default', senderIsOwner: true };
    expect(askerOfHook({ agentId: 'main', sessionKey: 'agent:main:main', requester })).toEqual(nobody);
  });

  it.each([
    'agent:main:subagent:1',
    'agent:main:cron:1:run:2',
    'agent:main:hook:1',
    'hook:1',
    'cron:1',
    'agent:a:acp:1',
  ])('is nobody in the session %s', (sessionKey) => {
    expect(askerOfTool({ sessionKey, senderIsOwner: true })).toEqual({ ...NOBODY, session: sessionKey });
    expect(askerOfHook({ sessionKey })).toEqual({ ...NOBODY, session: sessionKey });
  });

  it('is told why nobody may', async () => {
    plugin.hub.answers.set('POST /jobs', refuses('FORBIDDEN', 'only the owner may'));
    const context = { messageChannel: 'telegram', senderIsOwner: true };
    await expect(plugin.call('cluster_exec', { node: 'a', command: 'id' }, { context })).rejects.toThrow(
      /no person wrote this.*\n {2}try: the owner says it in the chat/,
    );
    expect(plugin.hub.asked.map(({ asker }) => asker)).toEqual([NOBODY]);
  });

  it('is never more of a word than the hub takes', () => {
    expect(askerOfTool({ sessionKey: 'x'.repeat(1000) }).session).toHaveLength(256);
  });
});

/** How a chat shows it to the letter. */
function inBlock(text: string): string {
  return `\`\`\`\n${text}\n\`\`\``;
}

describe('/federation', () => {
  const type = async (args: string) => {
    const [command = expect.fail('no command')] = plugin.commands;
    const context = { channel: 'telegram', senderId: '1001', args, sessionKey: 's' };
    return command.handler(context as Parameters<typeof command.handler>[0]);
  };

  it('is the owner’s alone', () => {
    expect(plugin.commands).toMatchObject([
      { name: 'federation', requireAuth: true, requiredScopes: ['operator.admin'] },
    ]);
  });

  it('says how the federation stands, also where nothing more is typed', async () => {
    plugin.hub.answers.set('GET /status', STATUS);
    const text = inBlock(
      'vps is the master, version 0.1.0\nmachines: 2 online, 1 offline\n0 running, 1 waiting to be let in',
    );
    expect(await type('status')).toEqual({ text });
    expect(await type('')).toEqual({ text });
    expect(plugin.hub.asked[0]?.asker).toMatchObject({ channel: 'telegram', sender: '1001', owner: true });
  });

  it('says what is wrong with it', async () => {
    const gateway = { state: 'disconnected', url: null, version: null, problem: 'no answer' };
    const lockdown = { since: '2026-01-02T03:04:05Z', by: 'me', reason: 'a theft' };
    plugin.hub.answers.set('GET /status', { ...STATUS, gateway, lockdown });
    expect((await type('status')).text).toMatch(
      /the gateway is disconnected: no answer\nlocked down since 2026-01-02T03:04:05Z: nothing is run \(a theft\)\n```$/,
    );
  });

  it('shows who waits, with buttons that let in and turn away', async () => {
    plugin.hub.answers.set('GET /pairing-requests', [
      { ...WAITING, name: 'new\u001b[0m' },
      { ...WAITING, rejected: true },
    ]);
    const { text, presentation } = await type('pending');
    expect(text).toBe(
      inBlock(
        'new<U+001B>[0m wants to join as worker\nfingerprint AAAA-BBBB, id cdcdcdcdcdcd, from 100.64.0.9\n• runs any command',
      ),
    );
    const actions = ['approve', 'reject'].map((verb) => ({
      type: 'callback',
      value: `federation:${verb}:${'cd'.repeat(16)}`,
    }));
    expect(presentation).toMatchObject({
      blocks: [{ type: 'buttons', buttons: actions.map((action) => ({ action })) }],
    });
    // Telegram’s limit for what a button carries, less what OpenClaw puts before it, in bytes.
    for (const { value } of actions) expect(value.length).toBeLessThanOrEqual(64 - 12);
  });

  it('has a button do what its words do when they are typed by who presses it', async () => {
    const [{ channel, namespace, handler } = expect.fail('no handler')] = plugin.buttons;
    expect({ channel, namespace }).toEqual({ channel: 'telegram', namespace: 'federation' });
    const press = (payload: unknown) => handler({ callback: { payload } });
    expect(press('approve:abcd')).toEqual({ handled: true, submitText: '/federation approve abcd' });
    for (const payload of ['approve:abcd\n/stop', 'drop:abcd', 'approve:', 7, undefined]) {
      expect(press(payload)).toEqual({ handled: false });
    }
  });

  it('lets one in, and turns one away', async () => {
    plugin.hub.answers.set('POST /pairing-requests/cdcd/approve', { ...WAITING, replaced: [] });
    plugin.hub.answers.set('POST /pairing-requests/cdcd/reject', {});
    expect(await type('approve cdcd')).toEqual({ text: inBlock('Approved new-box as worker (AAAA-BBBB).') });
    expect(await type('REJECT cdcd')).toEqual({ text: inBlock('Rejected cdcd.') });
    expect(plugin.hub.asked.map(({ json }) => json)).toEqual([{}, null]);
  });

  it('says whom it would need', async () => {
    expect(await type('approve')).toEqual({ text: inBlock('error: whom to approve?\n  try: /federation pending') });
  });

  it('says that nobody waits, and that nothing ran', async () => {
    plugin.hub.answers.set('GET /pairing-requests', []);
    plugin.hub.answers.set('GET /jobs', []);
    expect(await type('pending')).toEqual({ text: 'Nobody waits to be let in.' });
    expect(await type('jobs')).toEqual({ text: 'Nothing ran yet.' });
  });

  it('shows what ran lately, by whom and how it ended', async () => {
    const job = { by: 'telegram:1001', startedAt: '2026-01-02T03:04:05.000Z', command: `echo\n${'x'.repeat(200)}` };
    plugin.hub.answers.set('GET /jobs', [
      { ...job, endedAt: '2026-01-02T03:04:06.000Z', summary: { ok: 1 }, results: [{ node: 'home-server' }] },
      { ...job, command: 'uptime', endedAt: null, summary: {}, results: [{}, {}] },
    ]);
    expect((await type('jobs')).text).toBe(
      inBlock(
        `2026-01-02 03:04 home-server: echo⏎${'x'.repeat(75)}… → 1 ok (telegram:1001)\n` +
          '2026-01-02 03:04 2 machines: uptime → runs (telegram:1001)',
      ),
    );
  });

  it('says what there is where it is told something else', async () => {
    expect((await type('frobnicate')).text).toMatch(/^\/federation status: .*\n(?:\/federation [a-z]+.*\n?)+$/);
  });

  it('says what the hub says', async () => {
    plugin.hub.answers.set('GET /status', refuses('FORBIDDEN', 'only the owner may', 'be the owner'));
    expect(await type('status')).toEqual({ text: inBlock('error: only the owner may\n  try: be the owner') });
  });
});

describe('methods of the gateway', () => {
  const ask = async (name: string) => {
    const said: unknown[] = [];
    await plugin.methods.get(name)!.handler({ respond: (...words) => void said.push(...words) });
    return said;
  };

  it('are for those who may read', () => {
    expect([...plugin.methods].map(([name, { scope }]) => [name, scope])).toEqual([
      ['federation.status', 'operator.read'],
      ['federation.peers', 'operator.read'],
      ['federation.models', 'operator.read'],
    ]);
  });

  it('answer as the hub does, to the operator', async () => {
    plugin.hub.answers.set('GET /status', STATUS);
    expect(await ask('federation.status')).toEqual([true, STATUS]);
    expect(plugin.hub.asked[0]?.asker).toEqual(OPERATOR);
  });

  it('say why there is no answer', async () => {
    plugin.hub.answers.set('GET /status', refuses('HUB_STOPPING', 'the hub stops', 'wait'));
    const details = { code: 'HUB_STOPPING', hint: 'wait' };
    expect(await ask('federation.status')).toEqual([
      false,
      undefined,
      { code: 'UNAVAILABLE', message: 'the hub stops', details },
    ]);
  });
});

describe('the machines', () => {
  const node = (name: string, changed: object = {}) => ({
    id: NODE_ID,
    name,
    role: 'worker',
    state: 'online',
    labels: {},
    groups: [],
    openclaw: { nodeHost: 'none', deviceId: null, commands: [] },
    lastSeenAt: '2026-01-02T03:04:05.000Z',
    ...changed,
  });

  it('are told with what they can do, those first that are online', async () => {
    const openclaw = { nodeHost: 'connected', deviceId: 'd', commands: ['system.run', 'camera.snap'] };
    plugin.hub.answers.set('GET /nodes', [
      node('attic', { state: 'offline' }),
      node('gpu-box', { labels: { gpu: '', env: 'home' }, groups: ['lab'], openclaw }),
      node('gone', { state: 'revoked' }),
    ]);
    plugin.hub.answers.set('GET /openclaw-nodes', [
      { id: 'ff'.repeat(32), name: 'macbook', state: 'connected', commands: ['screen.snapshot'], lastSeenAt: null },
    ]);
    expect(await plugin.text('cluster_peers', {})).toBe(
      [
        'gpu-box (ab12cd34ef56): online, worker, @lab, gpu env=home, can: shell files `camera.snap`',
        'macbook (ffffffffffff): online, openclaw, can: `screen.snapshot`',
        'attic (ab12cd34ef56): offline, last seen 2026-01-02T03:04:05.000Z, worker',
      ].join('\n'),
    );
  });

  it('are those that match, and never more than a model can read', async () => {
    const many = Array.from({ length: 1000 }, (_, at) => node(`n${at}`, { labels: at === 7 ? { gpu: '' } : {} }));
    plugin.hub.answers.set('GET /nodes', many);
    plugin.hub.answers.set('GET /openclaw-nodes', []);
    expect(await plugin.text('cluster_peers', { match: 'GPU' })).toMatch(/^n7 [^\n]*$/);
    const lines = (await plugin.text('cluster_peers', {})).split('\n');
    expect(lines).toHaveLength(201);
    expect(lines.at(-1)).toBe('[… and 800 more: narrow it with match …]');
  });

  it('can’t name themselves a link, a mention, or a line of ours', async () => {
    plugin.hub.answers.set('GET /nodes', []);
    plugin.hub.answers.set('GET /openclaw-nodes', [
      {
        id: 'ff'.repeat(32),
        name: '[`mac`](https://evil.example) @all',
        state: 'connected',
        commands: ['evil.example', 'a`b'],
        lastSeenAt: null,
      },
    ]);
    expect(await plugin.text('cluster_peers', {})).toBe(
      '``[`mac`](https://evil.example) @all`` (ffffffffffff): online, openclaw, can: ``evil.example a`b``',
    );
  });

  it('may be none', async () => {
    plugin.hub.answers.set('GET /nodes', []);
    plugin.hub.answers.set('GET /openclaw-nodes', []);
    expect(await plugin.text('cluster_peers', {})).toBe('No peers discovered.');
  });
});

it('tells the gateway’s clients of machines that want in, until it is stopped', async () => {
  const told: unknown[][] = [];
  const [service] = plugin.services;
  const context = {
    gatewayEvents: { emit: (...said: unknown[]) => void told.push(said) },
    logger: { warn: () => undefined },
  };
  const started = context as unknown as Parameters<NonNullable<typeof service>['start']>[0];
  await service!.start(started);
  await eventually('it is told', () => {
    plugin.hub.announce('node', { id: NODE_ID });
    plugin.hub.announce('pairing-request', { ...WAITING, rejected: true });
    plugin.hub.announce('pairing-request', WAITING);
    return told.length > 0;
  });
  const { kind, id, name, role, fingerprint } = WAITING;
  expect(told[0]).toEqual(['pending', { kind, id, name, role, fingerprint }, { scope: 'operator.read' }]);
  await service!.stop!(started);
});
