import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { ChatFederation } from './chat-federation.ts';
import { chatFederation } from './chat-federation.ts';

const MANIFEST = 'openclaw.plugin.json';
const TOOLS = 'main.js';

let chat: ChatFederation;
/** The files of the new version that differ from those of the old one. */
const newer = new Map<string, string>();

// Behind OpenClaw's tool search, as it is where nobody says otherwise.
beforeAll(async () => {
  chat = await chatFederation({
    script: [
      [
        'have home-server check its disk space',
        { tool: 'cluster_exec', args: { node: 'home-server', command: 'df -h .' } },
      ],
      ['uptime everywhere', { tool: 'cluster_broadcast', args: { command: 'echo up' } }],
    ],
    async prepare(plugin) {
      for (const file of [MANIFEST, TOOLS]) {
        const text = await readFile(join(plugin, file), 'utf8');
        newer.set(file, text);
        await writeFile(join(plugin, file), withoutBroadcast(file, text));
      }
    },
  });
  await chat.startWorker('home-server');
});

afterAll(() => chat?.close());

beforeEach(() => {
  chat.telegram.mark();
  onTestFailed(() => console.error([...chat.gateway.lines.slice(-12), ...chat.telegram.texts()].join('\n')));
});

/** As an older version had it. */
function withoutBroadcast(file: string, text: string): string {
  if (file === TOOLS) return text.replace(/^\s*clusterBroadcast,\n/m, '');
  const manifest = JSON.parse(text) as { version: string; contracts: { tools: string[] }; toolMetadata: object };
  const tools = manifest.contracts.tools.filter((name) => name !== 'cluster_broadcast');
  const { toolMetadata: metadata } = manifest;
  const toolMetadata = Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== 'cluster_broadcast'));
  return JSON.stringify({ ...manifest, version: '0.0.9', contracts: { tools }, toolMetadata });
}

async function expectWorks(): Promise<void> {
  chat.telegram.mark();
  chat.telegram.say('have home-server check its disk space');
  expect(await chat.telegram.untilText('The tool says')).toMatch(/home-server \([0-9a-f]{12}\): ok[^]*Filesystem/);
}

async function reload(...more: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await chat.gateway.openclaw('plugins', 'reload', 'openclaw-federation', ...more);
  if (exitCode !== 0) throw new Error(stderr);
}

it('finds the tools behind the tool search', expectWorks);

it('has its tools again after a reload', async () => {
  await reload();
  await expectWorks();
});

it('has the tools of a new version after an upgrade that nobody answers questions for', async () => {
  for (const [file, text] of newer) await writeFile(join(chat.plugin.path, file), text);
  await reload('--accept-capabilities');
  chat.telegram.say('uptime everywhere');
  expect(await chat.telegram.untilText('The tool says')).toContain('1 ok');
  await expectWorks();
});

// A channel that a reload started again can't ask: OpenClaw refuses such calls until the gateway is started again.
it('runs nothing on a hybrid unasked after all of that', async () => {
  await chat.startWorker('laptop', 'hybrid');
  const before = (await chat.ask<JobView[]>('jobs')).length;
  chat.telegram.say('uptime everywhere');
  await chat.telegram.untilText(/approval required/i);
  expect(await chat.ask<JobView[]>('jobs')).toHaveLength(before);
});

it('has them after a restart of the gateway', async () => {
  await chat.gateway.restart();
  await expectWorks();
});

it('asks the owner on a hybrid then', async () => {
  chat.telegram.say('uptime everywhere');
  const asked = await chat.telegram.untilText('approval required');
  expect(asked).toContain('home-server, laptop (hybrid): run: echo up');
});
