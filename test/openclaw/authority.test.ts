import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { z } from 'zod';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import { until } from '../e2e/until.ts';
import type { Move } from '../support/agent-model.ts';
import { agentModel } from '../support/agent-model.ts';
import { OWNER, STRANGER } from '../support/telegram-api.ts';
import type { ChatFederation } from './chat-federation.ts';
import { chatFederation } from './chat-federation.ts';

// On a worker the owner's chat may run commands unasked: whose turn OpenClaw says it is decides alone.
const exec = (command: string): Move => ({ tool: 'cluster_exec', args: { node: 'home-server', command } });
const automation = (job: object): Move => ({
  tool: 'automations',
  args: { action: 'add', job: { name: 'later', schedule: { kind: 'at', at: soon() }, ...job } },
});
const soon = (): string => new Date(Date.now() + 2000).toISOString();

const HOOKS = randomBytes(24).toString('hex');
/** What OpenClaw may take to begin a turn by itself. */
const PATIENCE_MS = 120_000;

let chat: ChatFederation;
let connection: GatewayConnection;

beforeAll(async () => {
  chat = await chatFederation({
    toolSearch: false,
    webhooks: HOOKS,
    script: [
      ['have somebody do it', { tool: 'sessions_spawn', args: { task: 'sub-agent, do it' } }],
      ['do it later in a session of its own', () => automation(ISOLATED)],
      ['do it later here', () => automation(HERE)],
      ['do it slowly', exec('sleep 8; echo slow')],
      ['do it', exec('echo done')],
    ],
  });
  await chat.startWorker('home-server');
  connection = await chat.gateway.connect();
});

const ISOLATED = { sessionTarget: 'isolated', payload: { kind: 'agentTurn', message: 'automation, do it' } };
const HERE = { sessionTarget: 'main', wakeMode: 'now', payload: { kind: 'systemEvent', text: 'reminder: do it' } };

afterAll(async () => {
  connection?.close();
  await chat?.close();
});

let asked = 0;
let jobs = 0;

beforeEach(async () => {
  chat.telegram.mark();
  asked = chat.model.asked.length;
  jobs = (await ran()).length;
  onTestFailed(() =>
    console.error([...chat.gateway.lines.slice(-12), ...chat.telegram.texts(), ...answers()].join('\n')),
  );
});

function ran(): Promise<JobView[]> {
  return chat.ask<JobView[]>('jobs');
}

interface Message {
  readonly role: string;
  readonly content?: unknown;
  readonly tool_call_id?: string;
}

/** What tools have answered since the test began, each call once; what a session holds of earlier turns is left out. */
function answers(): string[] {
  const calls = new Map<string | undefined, string>();
  for (const { json } of chat.model.asked.slice(asked)) {
    const { messages } = json as { messages: Message[] };
    const latest = messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1);
    for (const message of latest) {
      if (message.role === 'tool') calls.set(message.tool_call_id, JSON.stringify(message.content));
    }
  }
  return [...calls.values()];
}

async function expectRefused(why: string | RegExp, times = 1): Promise<void> {
  const refusals = () => answers().filter((text) => text.search(why) >= 0);
  await until('it is refused', () => refusals().length >= times, PATIENCE_MS);
  expect(await ran()).toHaveLength(jobs);
}

const NO_PERSON = 'no person wrote this';

async function webhook(path: string, body: object): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${chat.gateway.port}/hooks/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${HOOKS}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  await response.body?.cancel();
}

describe('whoever wrote the turn is asked for', () => {
  it('the owner, at Telegram', async () => {
    chat.telegram.say('do it');
    expect(await chat.telegram.untilText('The tool says')).toContain('ok');
    expect((await ran())[0]).toMatchObject({ by: `telegram:${OWNER}` });
  });

  it('the owner, on OpenClaw’s own page, also where the session is that of Telegram', async () => {
    const message = { sessionKey: 'agent:main:main', message: 'do it', idempotencyKey: 'page' };
    await connection.request('chat.send', message, z.unknown());
    await until('it ran', async () => (await ran()).length > jobs, PATIENCE_MS);
    expect((await ran())[0]).toMatchObject({ by: expect.stringMatching(/^webchat:/) as string });
  });

  it('the operator, who calls the tool by the gateway’s protocol', async () => {
    const call = { name: 'cluster_exec', args: { node: 'home-server', command: 'echo done' } };
    await connection.request('tools.invoke', call, z.object({ ok: z.literal(true) }));
    expect((await ran())[0]).toMatchObject({ by: 'openclaw:operator' });
  });

  it('a stranger, also while a turn of the owner runs in the same session', async () => {
    chat.telegram.say('do it slowly');
    await until('it runs', async () => (await ran()).length > jobs, PATIENCE_MS);
    chat.telegram.say('do it', STRANGER);
    jobs += 1;
    await expectRefused(`telegram:${STRANGER} is not`);
    expect((await ran())[0]).toMatchObject({ by: `telegram:${OWNER}`, results: [{ outcome: 'ok' }] });
  });
});

describe('nothing runs in a turn that no person wrote', () => {
  it.each([
    ['a stranger', STRANGER],
    ['the owner', OWNER],
  ])('a sub-agent that %s caused', async (_, from) => {
    chat.telegram.say('have somebody do it', from);
    // Its end is told to the agent, in a turn of the chat that nobody wrote either.
    await expectRefused(NO_PERSON, 2);
  });

  it('an automation in a session of its own', async () => {
    chat.telegram.say('do it later in a session of its own');
    await expectRefused(NO_PERSON);
  });

  // OpenClaw calls this turn the owner's, for its answer goes to the owner's chat.
  it('an automation in the session of the chat', async () => {
    chat.telegram.say('do it later here');
    await expectRefused(NO_PERSON);
  });

  it('a webhook’s agent', async () => {
    await webhook('agent', { message: 'webhook, do it', name: 'test', deliver: false });
    await expectRefused(NO_PERSON);
  });

  it('what a webhook wakes the agent with, in the session of the chat', async () => {
    chat.model.next(agentModel([[/[^]*/, exec('echo done')]]));
    await webhook('wake', { text: 'do it', mode: 'now' });
    await expectRefused(NO_PERSON);
  });

  it('a program that has the agent speak in the session of the chat, who is told how to do it', async () => {
    const message = { sessionKey: 'agent:main:main', message: 'do it', idempotencyKey: 'program' };
    await connection.request('agent', message, z.unknown());
    await expectRefused(/no person wrote this.*manage-federation/);
  });
});
