import { createHash } from 'node:crypto';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ToolContext } from '#src/plugin/asker.ts';
import { askerOfHook, askerOfTool } from '#src/plugin/asker.ts';
import { OWNERS_HOOK, OWNERS_TURN, registered, textOf } from './plugin-under-test.ts';
import type { Registered } from './plugin-under-test.ts';
import type { HandoffCreate, MessageView } from '#src/protocol/handoffs.ts';
import type { Verdicts } from '#src/protocol/action.ts';
import { eventually } from '../support/eventually.ts';
import type { HandoffHub } from '../support/handoff-hub.ts';
import { HANDOFF, HANDOFF_NODE, handoffHub } from '../support/handoff-hub.ts';

const TASK = { target: 'home', task: 'look why nginx fails' };
let hub: HandoffHub;
let plugin: Registered;

beforeEach(async () => {
  hub = await handoffHub();
  plugin = registered(hub.socket);
});
afterEach(() => hub[Symbol.asyncDispose]());

interface CallOptions {
  readonly context?: ToolContext;
  readonly signal?: AbortSignal;
  readonly onUpdate?: (update: { progress?: { text: string } }) => void;
}

async function call(tool: string, parameters: object, options: CallOptions = {}) {
  const made = plugin.tools.get(tool)!(options.context ?? OWNERS_TURN);
  const onUpdate = options.onUpdate as Parameters<typeof made.execute>[3];
  return made.execute('call-1', parameters, options.signal, onUpdate);
}

const text = async (tool: string, parameters: object, options?: CallOptions) =>
  textOf(await call(tool, parameters, options));
const judge = (toolName: string, params: object, context = OWNERS_HOOK) =>
  plugin.hooks.get('before_tool_call')!({ toolName, params, toolCallId: 'call-1' }, context);
const followed = () => eventually('it is followed', () => hub.followers() > 0);
const order = () =>
  hub.asked.find(({ what }) => what === 'POST /handoffs')?.body as HandoffCreate & { parent?: string };

async function begun(): Promise<void> {
  await followed();
  hub.say({ type: 'started', attempt: 1, agent: 'main' });
}

describe('cluster_handoff', () => {
  it('hands work over with what belongs to it, and answers with the whole answer', async () => {
    const before = Date.now();
    const answer = call('cluster_handoff', {
      ...{ ...TASK, context: 'since noon', deadline: 600 },
      files: [
        { name: 'nginx.conf', content: 'server {' },
        { name: 'logo.png', content: 'iVBORw==', encoding: 'base64' },
      ],
    });
    await begun();
    hub.say({ type: 'text', text: 'I look.\n' });
    hub.end('completed', { text: 'A brace is missing.\nhome/main: completed' });
    const { content, details } = await answer;
    expect(content).toEqual([
      {
        type: 'text',
        text: 'home/main (ab12cd34ef56): completed, 1.0 s\n| A brace is missing.\n| home/main: completed',
      },
    ]);
    expect(details).toMatchObject({ handoff: { id: HANDOFF, node: 'home', agent: 'main', state: 'completed' } });
    const { key, deadline, ...rest } = order();
    expect(rest).toEqual({
      ...{ target: 'home', task: TASK.task, context: 'since noon' },
      files: [
        { name: 'nginx.conf', content: Buffer.from('server {').toString('base64') },
        { name: 'logo.png', content: 'iVBORw==' },
      ],
    });
    expect(key).toMatch(/^[0-9a-f-]{36}$/);
    expect(Date.parse(deadline ?? '') - before).toBeGreaterThanOrEqual(600_000);
  });

  it('shows what is done meanwhile', async () => {
    const said: string[] = [];
    const answer = call('cluster_handoff', TASK, { onUpdate: ({ progress }) => void said.push(progress?.text ?? '') });
    await followed();
    hub.stand({ position: 4, problem: 'all are\nbusy' });
    await eventually('the place is told', () =>
      said.some((line) => line.endsWith('place 4 in the queue: all are⏎busy')),
    );
    hub.say({ type: 'started', attempt: 1, agent: 'main' });
    hub.say({ type: 'tool', call: 'c', name: 'exec\u001b', phase: 'start', text: 'rm', failed: false });
    await eventually('the tool is told', () => said.some((line) => line.endsWith(': uses exec␛')));
    hub.say({ type: 'text', text: 'first\nsecond line' });
    await eventually('the words are told', () => said.some((line) => line.endsWith(': second line')));
    hub.end('completed', { text: 'second line' });
    expect(await answer).toMatchObject({ details: { handoff: { state: 'completed' } } });
  });

  it.each([
    ['failed', /^home\/main \(ab12cd34ef56\): failed, 1\.0 s: so it is \(handoff 01K.*\)\nso far:\n\| half/],
    ['lost', /lost: it may have run, in whole or in part, and nobody knows how it ended; look before it is repeated/],
    ['expired', /its time was over, 1\.0 s: so it is/],
    ['cancelled', /cancelled, 1\.0 s: so it is/],
  ] as const)('fails where it was %s, and never answers as if it were done', async (outcome, words) => {
    const answer = call('cluster_handoff', TASK);
    await begun();
    hub.say({ type: 'text', text: 'half' });
    hub.end(outcome, { text: 'half', problem: 'so it is' });
    await expect(answer).rejects.toThrow(words);
  });

  it('cuts a huge answer where one sees it', async () => {
    const answer = text('cluster_handoff', TASK);
    await begun();
    hub.end('completed', { text: `${'x'.repeat(120_000)}\nthe end` });
    expect(await answer).toMatch(/\n\| \[… \d+ of 120008 bytes are left out here …\]\n\| x+\n\| the end$/);
  });

  it('goes on where a hub goes away in the middle, without a second handoff', async () => {
    const answer = text('cluster_handoff', TASK);
    await begun();
    await hub.goAway();
    hub.say({ type: 'text', text: 'meanwhile' });
    await hub.comeBack();
    await followed();
    hub.end('completed', { text: 'done' });
    expect(await answer).toMatch(/: completed, 1\.0 s\n\| done$/);
    expect(hub.asked.filter(({ what }) => what === 'POST /handoffs')).toHaveLength(1);
  });

  it('puts small files of the answer where the chat has them, and says of others where they are', async () => {
    const answer = text('cluster_handoff', TASK);
    await begun();
    hub.give('report.txt', 'all is well');
    hub.give('broken.bin', 'abc');
    hub.files.set('broken.bin', Buffer.from('abd'));
    hub.stand({
      artefacts: [...hub.view().artefacts, { name: 'huge.iso', size: 60 << 20, sha256: 'f'.repeat(64) }],
    });
    hub.end('completed', { text: 'see the files' });
    const sha256 = createHash('sha256').update('all is well').digest('hex');
    const lines = (await answer).split('\n');
    expect(lines.slice(1, 3)).toEqual([
      '| see the files',
      `file report.txt (11 bytes, sha256 ${sha256}) is here as /media/1`,
    ]);
    expect(lines[3]).toMatch(/^file broken\.bin .* could not be had: broken\.bin did not come whole; on the master: /);
    expect(lines[4]).toMatch(/^file huge\.iso .* is kept; on the master: manage-federation handoff fetch 01K/);
    expect(plugin.saved).toEqual([{ data: Buffer.from('all is well'), type: 'text/plain' }]);
  });

  it('says what the hub says, and asks back where a name fits two machines', async () => {
    hub.answers.set('POST /handoffs', {
      code: 'AGENT_NOT_FOUND',
      message: 'there is no agent x',
      hint: 'there is main',
    });
    await expect(call('cluster_handoff', TASK)).rejects.toThrow('there is no agent x\n  try: there is main');
    hub.answers.set('POST /handoffs', { code: 'NODE_AMBIGUOUS', message: '"home" names 2 nodes' });
    expect(await text('cluster_handoff', TASK)).toMatch(/^Nothing was done: "home" names 2 nodes\. Ask the user/);
  });

  it.each([
    [{ files: [{ name: '../evil', content: '' }] }],
    [{ files: [{ name: '.bashrc', content: '' }] }],
    [{ task: '' }],
    [{ target: '' }],
    [{ deadline: 0 }],
    [{ deadline: 1.5 }],
    [{ path: '/etc/passwd' }],
  ])('takes no %j', async (changed) => {
    await expect(call('cluster_handoff', { ...TASK, ...changed })).rejects.toThrow('cluster_handoff: ');
    expect(hub.asked).toEqual([]);
  });
});

describe('one that is stopped', () => {
  it('has its end asked for, and waits for nothing more', async () => {
    const stop = new AbortController();
    const answer = call('cluster_handoff', TASK, { signal: stop.signal });
    await begun();
    stop.abort(new Error('the user said stop'));
    await expect(answer).rejects.toThrow('the user said stop');
    await eventually('its end was asked for', () =>
      hub.asked.some(({ what }) => what === `DELETE /handoffs/${HANDOFF}`),
    );
    await eventually('nobody follows', () => hub.followers() === 0);
  });

  it('while it is handed over is ended once its id is known', async () => {
    const stop = new AbortController();
    const handed = Promise.withResolvers<() => void>();
    hub.mishap = ({ what, body }, response) => {
      if (what !== 'POST /handoffs') return false;
      hub.mishap = () => false;
      hub.stand({ key: (body as HandoffCreate).key });
      handed.resolve(() =>
        response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(hub.view())),
      );
      return true;
    };
    const answer = call('cluster_handoff', TASK, { signal: stop.signal });
    const reply = await handed.promise;
    stop.abort(new Error('stop'));
    reply();
    await expect(answer).rejects.toThrow('stop');
    await eventually('its end was asked for', () =>
      hub.asked.some(({ what }) => what === `DELETE /handoffs/${HANDOFF}`),
    );
  });

  it('before it began is never handed over', async () => {
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(call('cluster_handoff', TASK, { signal })).rejects.toThrow('stopped');
    expect(hub.asked).toEqual([]);
  });
});

describe('approval', () => {
  const APPROVAL = '01J0000000000000000000000A';
  const NAMED = { ...TASK, target: 'mac/main', files: [{ name: 'a.txt', content: 'hi' }] };

  function asks(question: string): void {
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const targets = [{ node: 'mac', id: HANDOFF_NODE, online: true, verdict: 'approval' as const, rule: 'hybrid' }];
    const verdicts: Verdicts = { targets, leftOut: [], approval: { id: APPROVAL, question, expiresAt } };
    hub.answers.set('POST /verdicts', verdicts);
    hub.answers.set(`POST /command-approvals/${APPROVAL}`, {});
  }

  it('is asked for the agent, the task and every file, and goes with it to that very machine', async () => {
    asks('on mac (hybrid): have the agent main do: look why nginx fails');
    const judged = await judge('cluster_handoff', NAMED);
    const sha256 = createHash('sha256').update('hi').digest('hex');
    expect(hub.asked[0]?.body).toEqual({
      targets: ['mac'],
      action: {
        kind: 'handoff',
        agent: 'main',
        task: TASK.task,
        context: '',
        files: [{ name: 'a.txt', size: 2, sha256 }],
      },
    });
    expect(judged?.requireApproval?.description).toContain('content: a.txt: hi');
    await judged?.requireApproval?.onResolution('allow-once');
    const answer = text('cluster_handoff', NAMED);
    await begun();
    hub.end('completed', { text: 'done' });
    expect(await answer).toContain('| done');
    expect(order()).toMatchObject({ target: `${HANDOFF_NODE}/main`, approval: APPROVAL });
  });

  it('is for who names the machine and the agent: others are told to', async () => {
    expect(await judge('cluster_handoff', TASK)).toBeUndefined();
    expect(hub.asked).toEqual([]);
    hub.answers.set('POST /handoffs', { code: 'APPROVAL_NEEDED', message: 'the owner has to allow this on mac' });
    await expect(call('cluster_handoff', TASK)).rejects.toThrow(
      'the owner has to allow this on mac\n  try: name it as MACHINE/AGENT',
    );
  });

  it('is asked for a message, too', async () => {
    asks('on mac (hybrid): tell the agent main: hello');
    await judge('cluster_send', { target: 'mac/main', message: 'hello' });
    expect(hub.asked[0]?.body).toEqual({
      targets: ['mac'],
      action: { kind: 'message', agent: 'main', message: 'hello' },
    });
  });
});

describe('cluster_send', () => {
  const MESSAGE: MessageView = {
    ...{ id: HANDOFF, key: 'k', state: 'waiting', target: 'home', node: { id: HANDOFF_NODE, name: 'home' } },
    ...{ agent: null, problem: null, createdAt: '2026-11-21T12:00:00.000Z', deliveredAt: null },
  };

  it('says what became of it, and fails where it was refused', async () => {
    hub.answers.set('POST /messages', MESSAGE);
    const said = { target: 'home', message: 'the backup moved' };
    expect(await text('cluster_send', said)).toBe('kept for home until it has it, seven days at most');
    expect(hub.asked[0]?.body).toMatchObject({ target: 'home', message: 'the backup moved' });
    hub.answers.set('POST /messages', { ...MESSAGE, agent: 'main', state: 'refused', problem: 'no\nsuch agent' });
    await expect(call('cluster_send', said)).rejects.toThrow('home/main refused it: no⏎such agent');
  });
});

it('has the agents of a machine told with it, in words that a chat takes for no more', async () => {
  const node = {
    ...{ id: HANDOFF_NODE, name: 'home', role: 'worker', state: 'online', labels: {}, groups: [] },
    ...{ openclaw: { nodeHost: 'none', deviceId: null, commands: [] }, lastSeenAt: '2026-01-02T03:04:05.000Z' },
  };
  const agent = { node: 'home', nodeId: HANDOFF_NODE, concurrency: 1, running: 0, waiting: 0 };
  hub.answers.set('GET /nodes', [node]);
  hub.answers.set('GET /openclaw-nodes', []);
  hub.answers.set('GET /agents', [
    { ...agent, id: 'main', tags: ['coding', 'go'], description: '[see](http://evil.example) @all' },
    { ...agent, id: 'ops', tags: [], description: '' },
  ]);
  expect(await text('cluster_peers', {})).toBe(
    'home (ab12cd34ef56): online, worker, can: shell files, ' +
      'agents: main (coding go: `[see](http://evil.example) @all`); ops',
  );
  // A hub of the release before knows of no agents.
  hub.answers.set('GET /agents', { code: 'FORBIDDEN', message: 'not from a chat' });
  expect(await text('cluster_peers', {})).toBe('home (ab12cd34ef56): online, worker, can: shell files');
});

describe('an agent that works on a handoff itself', () => {
  const PARENT = '01KAFZ3V9Q00000000000000AB';
  const session = { agentId: 'main', sessionKey: `agent:main:handoff:${PARENT.toLowerCase()}` };
  const TURN: ToolContext = { ...session, messageChannel: 'webchat', senderIsOwner: true };
  let worker: string;

  beforeEach(async () => {
    // The socket of the worker daemon is the only one that there is: on its node no hub runs.
    worker = await mkdtemp(join(tmpdir(), 'ocf-worker-'));
    await rename(hub.socket, join(worker, 'handoffs.sock'));
    plugin = registered(hub.socket, 'full', { modelsKeyFile: join(worker, 'openclaw-models.key') });
  });
  afterEach(() => rm(worker, { recursive: true }));

  it('hands a part of it on by its own node, as a part', async () => {
    expect(await judge('cluster_handoff', { ...TASK, target: 'home/main' }, session)).toBeUndefined();
    const answer = text('cluster_handoff', TASK, { context: TURN });
    await begun();
    hub.end('completed', { text: 'done' });
    expect(await answer).toContain('| done');
    expect(order()).toMatchObject({ parent: PARENT, target: 'home' });
    expect(hub.bases).toEqual(new Set(['']));
  });

  it('is not the owner, whose session it is not, whatever OpenClaw says of the turn', () => {
    expect(askerOfTool(TURN)).toMatchObject({ sender: 'nobody', owner: false });
    expect(askerOfHook(session)).toMatchObject({ sender: 'nobody', owner: false });
  });

  it('is told what the hub has against it', async () => {
    hub.answers.set('POST /handoffs', { code: 'FORBIDDEN', message: 'agents of other machines may hand nothing on' });
    await expect(call('cluster_handoff', TASK, { context: TURN })).rejects.toThrow('may hand nothing on');
  });

  it('has no other way, and is told so', async () => {
    await hub.goAway();
    await expect(call('cluster_handoff', TASK, { context: TURN })).rejects.toThrow(
      'the worker daemon of this node does not answer',
    );
  });
});
