import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:http2';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { AgentOffer, HandoffOrder } from '#src/protocol/handoffs.ts';
import { handoffSaidSchema } from '#src/protocol/handoffs.ts';
import { eventually } from '../support/eventually.ts';
import type { HandoffDaemon } from '../support/handoff-daemon.ts';
import { startDaemon } from '../support/handoff-daemon.ts';
import type { ModelServer, SeenRequest } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { Following } from '../worker/handoffs/node-under-test.ts';
import { askNode, followNode, orderOf } from '../worker/handoffs/node-under-test.ts';
import type { AgentNode } from './agent-node.ts';
import { agentNode } from './agent-node.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/handoff-daemon.ts', import.meta.url));
const WORDS = Array.from({ length: 40 }, (_, at) => `word${at}`).join(' ');

let model: ModelServer;
let node: AgentNode;
let folder: string;
let daemon: HandoffDaemon;
let hub: ClientHttp2Session;
const offers: AgentOffer[] = [];

async function startHere(): Promise<void> {
  offers.length = 0;
  daemon = await startDaemon({ folder, settingsFile: node.settingsFile, onOffer: (offer) => void offers.push(offer) });
  hub = connect(`http://127.0.0.1:${daemon.port}`);
  await eventually('its agents are offered', () => offers.some(({ agents }) => agents.length > 0), 60_000);
}

beforeAll(async () => {
  model = await modelServer();
  model.otherwise = agentTalk;
  node = await agentNode(model.baseUrl);
  folder = mkdtempSync(join(tmpdir(), 'ocf-handoff-worker-'));
  await startHere();
});
afterAll(async () => {
  hub?.destroy();
  await daemon?.close();
  await node?.[Symbol.asyncDispose]();
  await model?.die();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function handOver(order: Partial<HandoffOrder>): Promise<string> {
  const whole = orderOf(order);
  expect(await askNode(hub, 'POST', '/handoffs', whole)).toMatchObject({ status: 200 });
  return whole.id;
}

async function toEnd(following: Following): Promise<HandoffEvent[]> {
  await following.over;
  for (const event of following.events) expect(handoffSaidSchema.parse(event)).toEqual(event);
  return [...following.events];
}

const said = (events: readonly HandoffEvent[]): string =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');
const seqs = (events: readonly HandoffEvent[]): number[] => events.map(({ seq }) => seq);
const asked = (word: string): number => model.asked.filter(({ body }) => body.includes(word)).length;

it('the agents of the gateway are offered', () => {
  expect(offers.at(-1)).toMatchObject({ agents: [{ id: 'main' }] });
});

it('what the agent says comes as it says it, and its answer at the end', async () => {
  const id = await handOver({ task: 'STREAM it, please' });
  const following = followNode(hub, id, 0);
  await eventually('the first words are there', () => said(following.events).includes('word0'), 60_000);
  expect(following.events.some(({ type }) => type === 'ended')).toBe(false);
  const events = await toEnd(following);
  expect(seqs(events)).toEqual(events.map((_, at) => at + 1));
  expect(events[0]).toMatchObject({ type: 'started', attempt: 1, agent: 'main' });
  expect(events.filter(({ type }) => type === 'text').length).toBeGreaterThan(5);
  expect(said(events)).toBe(WORDS);
  const usage = { input: expect.any(Number), output: expect.any(Number) };
  expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: WORDS, problem: null, usage });
  expect(asked('STREAM it')).toBe(1);
});

it('a tool that the agent uses is told with what it was given and gave, and a file it makes belongs to the answer', async () => {
  const id = await handOver({ task: 'TOOL: use your shell' });
  const events = await toEnd(followNode(hub, id, 0));
  const tools = events.filter((event) => event.type === 'tool');
  expect(tools[0]).toMatchObject({ name: 'exec', phase: 'start', text: expect.stringContaining('from-the-shell') });
  expect(tools.at(-1)).toMatchObject({
    name: 'exec',
    phase: 'result',
    text: expect.stringContaining('from-the-shell'),
  });
  expect(events.at(-2)).toMatchObject({ type: 'artefact', name: 'made.txt', size: 5 });
  expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: 'The tool is done.' });
});

it('a cancelled one ends the request to its model', async () => {
  const before = model.requests.filter(({ aborted }) => aborted).length;
  const id = await handOver({ task: 'ENDLESS talk' });
  const following = followNode(hub, id, 0);
  await eventually('it talks', () => said(following.events).includes('on and on'), 60_000);
  await askNode(hub, 'DELETE', `/handoffs/${id}`);
  const events = await toEnd(following);
  expect(events.at(-1)).toMatchObject({ outcome: 'cancelled', problem: 'it was cancelled' });
  await model.untilAborted(before + 1);
  expect(asked('ENDLESS talk')).toBe(1);
});

it('a daemon that is killed under a run loses nothing of it, and begins none anew', async () => {
  hub.destroy();
  await daemon.close();
  const child = spawn(process.execPath, ['--conditions=federation-source', FIXTURE, folder, node.settingsFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  await eventually('it is up', () => lines.length >= 2 && lines.includes('offered'), 60_000);
  const order = orderOf({ task: 'STREAM slowly: KILLED' });
  const first = connect(`http://127.0.0.1:${lines.find((line) => line !== 'offered')}`);
  first.on('error', () => undefined);
  expect(await askNode(first, 'POST', '/handoffs', order)).toMatchObject({ status: 200 });
  const before = followNode(first, order.id, 0);
  await eventually('it talks', () => said(before.events).includes('word2'), 60_000);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await startHere();
  const read = [...before.events];
  const after = await toEnd(followNode(hub, order.id, read.at(-1)?.seq ?? 0));
  const all = [...read, ...after];
  expect(seqs(all)).toEqual(all.map((_, at) => at + 1));
  expect(all.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: WORDS });
  expect(asked('KILLED')).toBe(1);
});

it('a gateway that crashes under a run is not asked a second time: it goes on by itself, and that end is told', async () => {
  const id = await handOver({ task: 'STREAM slowly: CRASHED' });
  const following = followNode(hub, id, 0);
  await eventually('it talks', () => said(following.events).includes('word2'), 60_000);
  await node.crash();
  const events = await toEnd(following);
  expect(seqs(events)).toEqual(events.map((_, at) => at + 1));
  expect(events.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: WORDS });
  expect(events.filter(({ type }) => type === 'started')).toHaveLength(1);
  const { messages } = JSON.parse(model.asked.findLast(({ body }) => body.includes('CRASHED'))!.body.toString()) as {
    messages: { role: string; content: unknown }[];
  };
  // OpenClaw goes on with the session. Ours would be a second message of that text in it.
  const ours = messages.filter(({ role, content }) => role === 'user' && JSON.stringify(content).includes('CRASHED'));
  expect(ours).toHaveLength(1);
});

it('a message reaches the agent once, however often it is handed over', async () => {
  const order = {
    id: orderOf().id,
    agent: null,
    asker: { kind: 'operator', name: 'ann' },
    message: 'TELL: the door is open',
  };
  expect(await askNode(hub, 'POST', '/messages', order)).toMatchObject({
    status: 200,
    body: { agent: 'main', replayed: false },
  });
  expect(await askNode(hub, 'POST', '/messages', order)).toMatchObject({ body: { agent: 'main', replayed: true } });
  await eventually('the agent thinks about it', () => asked('the door is open') === 1, 60_000);
});

/** Talks as the task in the last words of a person says. */
async function agentTalk({ json }: SeenRequest, response: ServerResponse): Promise<void> {
  const { messages, model: name } = json as { messages: { role: string; content: unknown }[]; model: string };
  const at = messages.findLastIndex(
    ({ role, content }) => role === 'user' && /STREAM|TOOL|ENDLESS|TELL/.test(JSON.stringify(content)),
  );
  const task = JSON.stringify(messages[at]?.content ?? '');
  const isToolDone = messages.slice(at + 1).some(({ role }) => role === 'tool');
  const base = { id: 'answer', created: 1, model: name, object: 'chat.completion.chunk' };
  const chunk = (delta: object, reason: string | null = null, more: object = {}): void =>
    void response.write(
      `data: ${JSON.stringify({ ...base, choices: [{ index: 0, delta, finish_reason: reason }], ...more })}\n\n`,
    );
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  chunk({ role: 'assistant', content: '' });
  if (task.includes('TOOL') && !isToolDone) {
    const out = /put them into (\S+), /.exec(task)?.[1] ?? '/nonexistent';
    const args = JSON.stringify({ command: `echo from-the-shell; printf hello > ${out}/made.txt` });
    chunk({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'exec', arguments: args } }] });
    chunk({}, 'tool_calls');
  } else if (task.includes('TOOL')) {
    chunk({ content: 'The tool is done.' });
    chunk({}, 'stop');
  } else if (task.includes('ENDLESS')) {
    while (!response.destroyed) {
      chunk({ content: 'on and on ' });
      await pause(50);
    }
    return;
  } else if (task.includes('STREAM')) {
    for (const [index, word] of WORDS.split(' ').entries()) {
      chunk({ content: index === 0 ? word : ` ${word}` });
      await pause(task.includes('slowly') ? 150 : 30);
    }
    chunk({}, 'stop');
  } else {
    chunk({ content: 'Noted.' });
    chunk({}, 'stop');
  }
  const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
  response.write(`data: ${JSON.stringify({ ...base, choices: [], usage })}\n\n`);
  response.end('data: [DONE]\n\n');
}
