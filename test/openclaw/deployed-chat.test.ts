import { lstat, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed, onTestFinished, vi } from 'vitest';
import { thisMachine } from '#src/adapters/machine/local.ts';
import { askPlugin } from '#src/deploy/doctor/ask/plugin.ts';
import { buttonsOf, STRANGER } from '../support/telegram-api.ts';
import type { ChatFederation } from './chat-federation.ts';
import { chatFederation } from './chat-federation.ts';
import type { DeployedGateway } from './deployed-gateway.ts';
import { deployGateway } from './deployed-gateway.ts';

const SENTENCE = 'have home-server check its disk space';
const MANIFEST = 'openclaw.plugin.json';
const TOOLS = 'main.js';

let chat: ChatFederation;
let deployed: DeployedGateway;
/** What the person had, to the byte. */
let own: string;

beforeAll(async () => {
  chat = await chatFederation({
    script: [
      [SENTENCE, { tool: 'cluster_exec', args: { node: 'home-server', command: 'df -h .' } }],
      ['have laptop say hello', { tool: 'cluster_exec', args: { node: 'laptop', command: 'echo hello from there' } }],
      ['uptime everywhere', { tool: 'cluster_broadcast', args: { command: 'echo up' } }],
    ],
    async deploy(home, to) {
      own = await readFile(join(home, '.openclaw/openclaw.json'), 'utf8');
      deployed = await deployGateway(home, to, takeBroadcastAway);
    },
  });
  await chat.startWorker('home-server');
});

afterAll(() => chat?.close());

beforeEach(() => {
  chat.telegram.mark();
  onTestFailed(() => console.error(chat.gateway.lines.slice(-40).join('\n')));
});

/** An earlier version had a tool less. */
async function takeBroadcastAway(plugin: string): Promise<void> {
  const [manifest, tools] = await Promise.all([MANIFEST, TOOLS].map((file) => readFile(join(plugin, file), 'utf8')));
  await writeFile(join(plugin, TOOLS), tools!.replace(/^\s*clusterBroadcast,\n/m, ''));
  const { contracts, toolMetadata, ...rest } = JSON.parse(manifest!) as {
    contracts: { tools: string[] };
    toolMetadata: Record<string, object>;
  };
  delete toolMetadata['cluster_broadcast'];
  const fewer = contracts.tools.filter((name) => name !== 'cluster_broadcast');
  await writeFile(
    join(plugin, MANIFEST),
    JSON.stringify({ ...rest, version: '0.0.9', contracts: { ...contracts, tools: fewer }, toolMetadata }),
  );
}

async function worksAtTelegram(): Promise<void> {
  chat.telegram.say(SENTENCE);
  expect(await chat.telegram.untilText('The tool says')).toMatch(/home-server \([0-9a-f]{12}\): ok[^]*Filesystem/);
}

it('a sentence of the person who was named runs on that machine', worksAtTelegram);

it('who was not named gets no answer, and nothing runs for them', async () => {
  chat.telegram.say(SENTENCE, STRANGER);
  await worksAtTelegram();
  const told = chat.telegram.calls.filter(({ fields }) => fields['chat_id'] === String(STRANGER));
  expect(told.filter(({ method }) => method.startsWith('send'))).toEqual([]);
});

it('what has to be approved is, by a button that the person has without any more settings', async () => {
  await chat.startWorker('laptop', 'hybrid');
  chat.telegram.say('have laptop say hello');
  const asked = await chat.telegram.until('a question', (call) => buttonsOf(call).length > 1);
  expect(asked.fields['text']).toContain('laptop');
  chat.telegram.press(buttonsOf(asked)[0]!);
  expect(await chat.telegram.untilText('The tool says')).toContain('hello from there');
});

it('the doctor finds the plugin, and says what is wrong where the gateway can’t be reached', async () => {
  // With either OpenClaw's command line says nothing.
  vi.stubEnv('VITEST', undefined);
  vi.stubEnv('NODE_ENV', undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
  const facts = await deployed.facts();
  const { signal } = new AbortController();
  expect(await askPlugin(thisMachine(), facts, signal)).toEqual({ state: 'answers' });
  const nowhere = { ...facts, gateway: { ...facts.gateway, port: 1 } };
  expect(await askPlugin(thisMachine(), nowhere, signal)).toMatchObject({
    state: 'fails',
    problem: expect.stringContaining('not reachable') as string,
    hint: 'openclaw gateway status',
  });
});

it('a second run has nothing to do, whatever OpenClaw has made of its settings', async () => {
  expect(await deployed.again()).toEqual([]);
});

it('another release, with a tool more, is there when the gateway has started anew, and nobody is asked', async () => {
  await deployed.release('second');
  await chat.gateway.restart();
  await worksAtTelegram();
  chat.telegram.say('uptime everywhere');
  expect(await chat.telegram.untilText('approval required')).toContain('echo up');
});

it('taken back, the settings are those of the person, and nothing of ours is beside them', async () => {
  const { openclawSettings, telegramToken, openclawPluginSkills } = deployed.place;
  expect((await lstat(telegramToken)).mode & 0o777).toBe(0o600);
  await deployed.undo();
  expect(await readFile(openclawSettings, 'utf8')).toBe(own);
  for (const path of [telegramToken, openclawPluginSkills]) {
    await expect(lstat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  }
});
