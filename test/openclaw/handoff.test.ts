import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { AgentView, HandoffListed, HandoffView } from '#src/protocol/handoffs.ts';
import type { Running } from '../e2e/place.ts';
import { isAlive } from '../e2e/processes.ts';
import { until } from '../e2e/until.ts';
import type { Move } from '../support/agent-model.ts';
import type { SeenRequest } from '../support/model-server.ts';
import { buttonsOf } from '../support/telegram-api.ts';
import type { AgentNode } from './agent-node.ts';
import { agentNode } from './agent-node.ts';
import type { ChatFederation } from './chat-federation.ts';
import { chatFederation } from './chat-federation.ts';

let chat: ChatFederation;
let far: AgentNode;
let homeServer: Running;

/** How the master’s scripted model starts its last word on a sentence. The far one says the same, and that is shown as progress behind its name. */
const LAST_WORD = /^The tool says/m;
const handoff = (target: string, task: string, more: object = {}): Move => ({
  tool: 'cluster_handoff',
  args: { target, task, ...more },
});
const shell = (command: string): Move => ({ tool: 'exec', args: { command } });
/** Of the briefing that an agent is given. */
const outOf = (briefing: string): string => /put them into (\S+),/.exec(briefing)?.[1] ?? '/nonexistent';

/** What people say at Telegram, and below what agents elsewhere are asked. Those have the first word: their tasks are the words of others. */
const SCRIPT = [
  [/FAR: look at the shed/, (said: string) => shell(`echo the shed is dry; printf hello > ${outOf(said)}/shed.txt`)],
  [/FAR: stay/, (said: string) => shell(`echo $$ > ${/into ‘(.*?)’/.exec(said)?.[1]}; exec sleep 600`)],
  ['FAR: hand on', handoff('attic', 'INNERMOST: say something', { deadline: 3600 })],
  ['FAR: hand back', handoff('home-server', 'INNERMOST: say something')],
  ['INNERMOST', { words: 'I am the innermost.' }],
  ['ask the agent on home-server to look at the shed', handoff('home-server', 'FAR: look at the shed')],
  ['ask the agent on laptop to look at the shed', handoff('laptop/main', 'FAR: look at the shed')],
  ['ask the agent on laptop for a talk', handoff('laptop', 'FAR: talk on')],
  ['ask the agent on home-server to talk on', handoff('home-server', 'FAR: talk on')],
  [
    /ask the agent on home-server to stay (\S+)/,
    (said: string) => handoff('home-server', `FAR: stay, and write into ‘${/to stay (\S+)/.exec(said)?.[1]}’`),
  ],
  ['ask the agent on home-server to hand on', handoff('home-server', 'FAR: hand on', { deadline: 300 })],
  ['ask the agent on home-server to hand back', handoff('home-server', 'FAR: hand back')],
  ['ask nobody', handoff('nobody', 'FAR: look at the shed')],
  [
    'tell home-server',
    { tool: 'cluster_send', args: { target: 'home-server', message: 'NEWS: the key is below the mat' } },
  ],
] as const;

/** Words without an end, as long as somebody listens. */
async function talkOn(model: string, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  while (!response.destroyed) {
    const choices = [{ index: 0, delta: { role: 'assistant', content: 'on and on ' }, finish_reason: null }];
    response.write(
      `data: ${JSON.stringify({ id: 'a', created: 1, model, object: 'chat.completion.chunk', choices })}\n\n`,
    );
    await pause(50);
  }
}

const asText = ({ body }: SeenRequest): string => body.toString('utf8');
/** Requests in which an agent was first asked something of that kind. */
const askedOf = (words: string): SeenRequest[] => chat.model.asked.filter((request) => asText(request).includes(words));

beforeAll(async () => {
  chat = await chatFederation({ toolSearch: false, script: SCRIPT });
  const scripted = chat.model.otherwise;
  chat.model.otherwise = (request, response) => {
    const { messages, model } = request.json as { messages: { role: string; content: unknown }[]; model: string };
    const isTalk = messages.some(
      ({ role, content }) => role === 'user' && /FAR: talk on/.test(JSON.stringify(content)),
    );
    return isTalk ? talkOn(model, response) : scripted(request, response);
  };
  far = await agentNode(chat.model.baseUrl, {
    plugins: {
      load: { paths: [chat.plugin.path] },
      entries: {
        'openclaw-federation': {
          enabled: true,
          config: { modelsKeyFile: join(chat.homeOf('home-server'), 'openclaw-models.key') },
        },
      },
    },
  });
  homeServer = await startNode('home-server');
  await startNode('laptop', 'hybrid');
  await startNode('attic');
}, 480_000);

afterAll(async () => {
  await chat?.close();
  await far?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  chat.telegram.mark();
  onTestFailed(() =>
    console.error([...chat.gateway.lines.slice(-6), ...far.lines.slice(-6), ...chat.telegram.texts()].join('\n')),
  );
});

/** Online, and its agents offered. */
async function startNode(name: string, role?: 'worker' | 'hybrid'): Promise<Running> {
  const settings = { OPENCLAW_FEDERATION_WORKER_TOOLS_GATEWAY_SETTINGS: far.settingsFile };
  const worker = await chat.startWorker(name, role, settings);
  await untilOffered(name);
  return worker;
}

const untilOffered = (name: string) =>
  until(`${name} offers its agents`, async () => {
    const agents = await chat.ask<AgentView[]>('agents');
    return agents.some(({ node }) => node === name);
  });

/** Says it at Telegram, and waits for the agent's last word on it. */
function tell(sentence: string): Promise<string> {
  chat.telegram.mark();
  chat.telegram.say(sentence);
  return chat.telegram.untilText(LAST_WORD, 90_000);
}

const list = () => chat.ask<HandoffListed[]>('handoff', 'list');

async function newest(): Promise<HandoffView> {
  const [view] = await list();
  if (view === undefined) throw new Error('nothing was handed over');
  return chat.ask<HandoffView>('handoff', 'show', view.id);
}

async function question() {
  const asked = await chat.telegram.until('a question', (call) => buttonsOf(call).length > 1);
  const [allow, deny] = buttonsOf(asked);
  return { asked, allow: allow!, deny: deny! };
}

describe('a sentence at Telegram', () => {
  it('becomes work of the agent on that machine, with a tool there, and its answer and file come back', async () => {
    const { id } = await chat.node('home-server');
    const answer = await tell('ask the agent on home-server to look at the shed');
    expect(answer).toContain(`home-server/main (${id.slice(0, 12)}): completed`);
    expect(answer).toContain('the shed is dry');
    const view = await newest();
    expect(view).toMatchObject({
      state: 'completed',
      asker: 'telegram:1001',
      node: { name: 'home-server' },
      agent: 'main',
    });
    expect(view.artefacts).toMatchObject([{ name: 'shed.txt', size: 5 }]);
    const { stdout } = await chat.manage('handoff', 'attach', view.id, '--ndjson');
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as HandoffEvent);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, at) => at + 1));
    const tools = events.filter((event) => event.type === 'tool');
    expect(tools.at(0)).toMatchObject({ name: 'exec', phase: 'start' });
    expect(tools.at(-1)).toMatchObject({
      name: 'exec',
      phase: 'result',
      text: expect.stringContaining('the shed is dry') as string,
    });
    const sent = await chat.telegram.until('the file', ({ files }) =>
      Object.values(files).some((bytes) => bytes.toString() === 'hello'),
    );
    expect(sent.fields['chat_id']).toBe('1001');
  });

  it('that names nobody is answered with that, and nothing is handed over', async () => {
    const before = await list();
    expect(await tell('ask nobody')).toMatch(/nobody/);
    expect(await list()).toHaveLength(before.length);
  });
});

describe('/stop', () => {
  it('ends the request to the model of the far agent, whose words had come as it said them', async () => {
    const before = chat.model.requests.filter(({ aborted }) => aborted).length;
    chat.telegram.say('ask the agent on home-server to talk on');
    try {
      await chat.telegram.untilText(/home-server[^]*on and on/);
    } finally {
      chat.telegram.say('/stop');
    }
    await chat.model.untilAborted(before + 1);
    await until('the hub knows', async () => (await newest()).state === 'cancelled');
  });

  it('ends the process that the far agent runs', async () => {
    const file = `${chat.place.path}/pid`;
    chat.telegram.say(`ask the agent on home-server to stay ${file}`);
    const pid = Number(await until('it runs', () => readFile(file, 'utf8').catch(() => null), 60_000));
    chat.telegram.say('/stop');
    await until('it has ended', () => !isAlive(pid));
    await until('the hub knows', async () => (await newest()).state === 'cancelled');
  });
});

describe('a hybrid', () => {
  it('is given work when the owner presses the button, and not before', async () => {
    const before = await list();
    chat.telegram.say('ask the agent on laptop to look at the shed');
    const { asked, deny } = await question();
    expect(asked.fields['text']).toContain('laptop');
    expect(asked.fields['text']).toContain('FAR: look at the shed');
    chat.telegram.press(deny);
    expect(await chat.telegram.untilText(LAST_WORD)).toContain('Denied by user');
    expect(await list()).toHaveLength(before.length);
    chat.telegram.mark();
    chat.telegram.say('ask the agent on laptop to look at the shed');
    const { allow } = await question();
    chat.telegram.press(allow);
    expect(await chat.telegram.untilText(LAST_WORD, 90_000)).toContain('the shed is dry');
    expect(await newest()).toMatchObject({ state: 'completed', node: { name: 'laptop' } });
  });

  it('that is not named with its agent can’t be asked about', async () => {
    const before = await list();
    expect(await tell('ask the agent on laptop for a talk')).toContain('MACHINE/AGENT');
    expect(await list()).toHaveLength(before.length);
  });
});

it('a message is kept for a machine that is away, and told to its agent once', async () => {
  homeServer.kill('SIGTERM');
  await homeServer.ended;
  await until('it is away', async () => (await chat.node('home-server')).state !== 'online');
  expect(await tell('tell home-server')).toContain('kept for home-server');
  expect(askedOf('NEWS: the key is below the mat').filter(isFar)).toHaveLength(0);
  for (const _ of [1, 2]) {
    homeServer = await startNode('home-server');
    await until('its agent was told', () => askedOf('NEWS: the key is below the mat').some(isFar), 60_000);
    homeServer.kill('SIGTERM');
    await homeServer.ended;
  }
  homeServer = await startNode('home-server');
  await tell('ask the agent on home-server to look at the shed');
  expect(askedOf('NEWS: the key is below the mat').filter(isFar)).toHaveLength(1);
});

/** Of a turn that begins with the message; the master's agent has it in its call and its answer. */
function isFar(request: SeenRequest): boolean {
  const { messages } = request.json as { messages: { role: string; content: unknown }[] };
  return messages.some(({ role, content }) => role === 'user' && JSON.stringify(content).includes('NEWS: '));
}

describe('an agent that works on a handoff', () => {
  it('may hand nothing on where the master does not allow it', async () => {
    expect(await tell('ask the agent on home-server to hand on')).toContain('may hand nothing on');
    expect((await newest()).parent).toBeNull();
  });

  it('hands a part on, which has no more time than the whole, and no other asker', async () => {
    await chat.restartHub({ OPENCLAW_FEDERATION_HUB_ONWARD: 'true' });
    for (const name of ['home-server', 'attic']) await untilOffered(name);
    expect(await tell('ask the agent on home-server to hand on')).toContain('I am the innermost.');
    const [child, parent] = await list();
    expect(child).toMatchObject({
      state: 'completed',
      parent: parent!.id,
      node: { name: 'attic' },
      asker: parent!.asker,
    });
    expect(parent).toMatchObject({
      state: 'completed',
      parent: null,
      node: { name: 'home-server' },
      asker: 'telegram:1001',
    });
    expect(parent!.deadline).not.toBeNull();
    expect(child!.deadline).toBe(parent!.deadline);
  });

  it('can’t hand it back to a machine that it came over', async () => {
    const before = await list();
    expect(await tell('ask the agent on home-server to hand back')).toContain('would come back to a machine');
    expect(await list()).toHaveLength(before.length + 1);
  });
});
