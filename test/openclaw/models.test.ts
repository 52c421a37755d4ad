import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
import { z } from 'zod';
import type { Running } from '../e2e/place.ts';
import { until } from '../e2e/until.ts';
import { agentModel } from '../support/agent-model.ts';
import type { ModelServer } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { ModelFederation } from './model-federation.ts';
import { LAPTOP, modelFederation } from './model-federation.ts';

const MODEL = 'qwen3:8b';
const SERVER_KEY = 'key-of-the-server-0123456789abcdef';
const PROVIDER_KEY = 'key-of-the-provider-0123456789abcdef';
const ANTHROPIC_KEY = 'key-of-anthropic-0123456789abcdef';

let federation: ModelFederation;
let first: ModelServer;
let second: ModelServer;
let firstNode: Running;

beforeAll(async () => {
  federation = await modelFederation();
  [first, second] = await Promise.all([server(), server()]);
  firstNode = await startNode('gpu-1', first);
  await federation.untilListed(MODEL, 1);
}, 400_000);

afterAll(async () => {
  await federation?.close();
  await Promise.all([first?.[Symbol.asyncDispose](), second?.[Symbol.asyncDispose]()]);
});

function server(): Promise<ModelServer> {
  const models = [{ id: MODEL, object: 'model', created: 1, owned_by: 'vllm', max_model_len: 40_960 }];
  return modelServer({ models, key: SERVER_KEY }).then((made) => {
    made.otherwise = agentModel([
      [/which node/, { tool: 'cluster_peers', args: {} }],
      [/./s, { words: 'words of another machine' }],
    ]);
    return made;
  });
}

async function startNode(name: string, model: ModelServer): Promise<Running> {
  const upstream = { name: 'vllm', baseUrl: model.baseUrl, keyFile: federation.place.file(`${name}.key`) };
  await writeFile(upstream.keyFile, SERVER_KEY, { mode: 0o600 });
  return federation.start(name, [upstream]);
}

const answerSchema = z.object({
  result: z.object({
    payloads: z.array(z.object({ text: z.string() })),
    meta: z.object({ agentMeta: z.object({ provider: z.string(), model: z.string(), contextTokens: z.number() }) }),
  }),
});

async function agent(message: string, ...flags: readonly string[]) {
  const said = ['agent', '--agent', 'main', '--message', message, '--json', ...flags];
  const { exitCode, stdout, stderr } = await federation.gateway.openclaw(...said);
  expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
  const { result } = answerSchema.parse(JSON.parse(stdout));
  return { text: result.payloads.map(({ text }) => text).join('\n'), ...result.meta.agentMeta };
}

/** The agent by its gateway’s own endpoint, as a stream. */
function turn(message: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${federation.gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${federation.gateway.token}`,
      'content-type': 'application/json',
      'x-openclaw-model': `federation/${MODEL}`,
    },
    body: JSON.stringify({ model: 'openclaw', stream: true, messages: [{ role: 'user', content: message }] }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** A program beside the gateway, which uses the models of all. */
function complete(model: string, path = '/chat/completions', more: object = {}): Promise<Response> {
  return fetch(`${federation.models.baseUrl}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${federation.models.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], ...more }),
  });
}

function showLines(): void {
  onTestFailed(() => console.error(federation.gateway.lines.slice(-40).join('\n')));
}

describe('a gateway without a key', () => {
  it('answers by another node’s model once its settings say so', { timeout: 400_000 }, async () => {
    showLines();
    await federation.configure({ 'agents.defaults.model': { primary: `federation/${MODEL}` } });
    const answer = await until(
      'the agent answers',
      async () => {
        const { exitCode, stdout } = await federation.gateway.openclaw(
          'agent',
          '--agent',
          'main',
          '--message',
          'hello',
        );
        return exitCode === 0 && stdout.includes('words of another machine') ? stdout : null;
      },
      180_000,
    );
    expect(answer).toContain('words of another machine');
    expect(first.asked.at(-1)?.headers.authorization).toBe(`Bearer ${SERVER_KEY}`);
    expect(first.asked.at(-1)?.json).toMatchObject({ model: MODEL, stream: true });
  });

  it('knows what the model takes, from the node that has it', async () => {
    showLines();
    const { provider, model, contextTokens } = await agent('hello', '--model', `federation/${MODEL}`);
    expect({ provider, model, contextTokens }).toEqual({ provider: 'federation', model: MODEL, contextTokens: 40_960 });
  });

  it('has its tools called by that model', async () => {
    showLines();
    expect((await agent('which node is there?')).text).toMatch(/The tool says: [^]*gpu-1/);
    expect(first.asked.at(-2)?.json).toMatchObject({ tools: expect.any(Array) });
  });

  it('takes /model federation/MODEL, also with the node that is to serve', async () => {
    showLines();
    const connection = await federation.gateway.connect();
    try {
      const message = `/model federation/gpu-1/${MODEL}`;
      const sent = { sessionKey: 'agent:main:main', message, idempotencyKey: crypto.randomUUID() };
      await connection.request('chat.send', sent, z.unknown(), 60_000);
    } finally {
      connection.close();
    }
    const { model } = await until(
      'the model is another',
      async () => {
        const now = await agent('hello');
        return now.model === `gpu-1/${MODEL}` ? now : null;
      },
      120_000,
    );
    expect(model).toBe(`gpu-1/${MODEL}`);
  });

  it('streams what that model says as it says it', async () => {
    showLines();
    const goOn = Promise.withResolvers<void>();
    first.next(async (_, response) => {
      chunk(response, { role: 'assistant', content: 'the first words of many ' });
      await goOn.promise;
      chunk(response, { content: 'and the last ones' });
      chunk(response, {}, 'stop');
      response.end('data: [DONE]\n\n');
    });
    const response = await turn('talk');
    let seen = '';
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      seen += piece;
      if (seen.includes('first words')) goOn.resolve();
    }
    expect(seen).toContain('last ones');
  });

  it('ends the request at that node when the turn is cancelled', async () => {
    showLines();
    const before = first.requests.filter(({ aborted }) => aborted).length;
    first.next(async (_, response) => {
      while (!response.destroyed) {
        chunk(response, { content: 'on and on ' });
        await pause(50);
      }
    });
    const leaving = new AbortController();
    const response = await turn('talk for ever', leaving.signal);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let seen = ''; !seen.includes('on and on'); seen += (await reader.read()).value ?? '');
    leaving.abort();
    await first.untilAborted(before + 1);
    expect(first.asked.at(-1)).toMatchObject({ aborted: true });
  });

  it('goes on with another node that has the model when the first is killed', async () => {
    showLines();
    await startNode('gpu-2', second);
    await federation.untilListed(MODEL, 2);
    firstNode.kill('SIGKILL');
    await firstNode.ended;
    const before = second.asked.length;
    expect((await agent('hello', '--model', `federation/${MODEL}`)).text).toContain('words of another machine');
    expect(second.asked.length).toBeGreaterThan(before);
  });
});

describe('source: openclaw', () => {
  let provider: ModelServer;
  let anthropic: ModelServer;

  beforeAll(async () => {
    [provider, anthropic] = await Promise.all([
      modelServer({ key: PROVIDER_KEY }),
      modelServer({ key: ANTHROPIC_KEY }),
    ]);
    const key = join(federation.gateway.directory, 'provider.key');
    await writeFile(key, PROVIDER_KEY, { mode: 0o600 });
    const model = {
      id: 'echo',
      name: 'Echo',
      reasoning: true,
      input: ['text'],
      contextWindow: 65_536,
      maxTokens: 9000,
    };
    await federation.configure({
      'secrets.providers.test': { source: 'file', path: key, mode: 'singleValue' },
      'models.providers.router': {
        baseUrl: provider.baseUrl,
        api: 'openai-completions',
        apiKey: { source: 'file', provider: 'test', id: 'value' },
        models: [{ ...model, cost: { input: 1, output: 2, cacheRead: 0, cacheWrite: 0 } }],
      },
      'models.providers.claude': {
        baseUrl: anthropic.baseUrl.replace('/v1', ''),
        api: 'anthropic-messages',
        apiKey: ANTHROPIC_KEY,
        models: [{ ...model, id: 'opus', name: 'Opus' }],
      },
      'models.providers.gemini': {
        baseUrl: provider.baseUrl,
        api: 'google-generative-ai',
        apiKey: 'none',
        models: [{ ...model, id: 'pro', name: 'Pro' }],
      },
    });
    await federation.share(LAPTOP, [{ name: 'openclaw', source: 'openclaw', askEverySeconds: 1 }]);
    await federation.untilListed('router/echo', 1);
    await federation.untilListed('claude/opus', 1);
  }, 400_000);

  afterAll(async () => {
    await Promise.all([provider?.[Symbol.asyncDispose](), anthropic?.[Symbol.asyncDispose]()]);
  });

  it('shares a model whose key stays in that OpenClaw, with what is known of it', async () => {
    showLines();
    const response = await complete('router/echo', '/chat/completions', { temperature: 0.30000000000000004 });
    expect(await response.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }] });
    const seen = provider.asked.at(-1);
    expect(seen?.headers).toMatchObject({ authorization: `Bearer ${PROVIDER_KEY}` });
    expect(seen?.body.toString()).toBe(
      '{"model":"echo","messages":[{"role":"user","content":"hello"}],"temperature":0.30000000000000004}',
    );
    const listed = await federation.ask<readonly { id: string; facts: object }[]>('models', 'list');
    expect(listed.find(({ id }) => id === 'router/echo')?.facts).toMatchObject({
      contextWindow: 65_536,
      maxTokens: 9000,
      reasoning: true,
      cost: { input: 1, output: 2 },
    });
  });

  it('speaks Anthropic’s language with a provider that does', async () => {
    showLines();
    const response = await complete('claude/opus', '/messages', { max_tokens: 10 });
    expect(await response.json()).toMatchObject({ type: 'message' });
    expect(anthropic.asked.at(-1)?.headers).toMatchObject({ 'x-api-key': ANTHROPIC_KEY });
    expect(anthropic.asked.at(-1)?.json).toMatchObject({ model: 'opus' });
    const wrong = await complete('claude/opus');
    expect(wrong.status).toBe(404);
  });

  it('carries a stream as it comes, and a cancellation', async () => {
    showLines();
    provider.next(async (_, response) => {
      while (!response.destroyed) {
        chunk(response, { content: 'on and on ' });
        await pause(50);
      }
    });
    const response = await complete('router/echo', '/chat/completions', { stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await provider.untilAborted(1);
    expect(provider.asked.at(-1)).toMatchObject({ aborted: true });
  });

  it('shows a cut answer as cut', async () => {
    provider.next((_, response) => {
      chunk(response, { content: 'half of' });
      setImmediate(() => response.destroy());
    });
    const response = await complete('router/echo', '/chat/completions', { stream: true });
    await expect(response.text()).rejects.toThrow(/terminated/);
  });

  it('leaves out what it can’t share, and says why', async () => {
    const { exitCode, stdout } = await federation.gateway.openclaw('federation', 'models', '--json');
    expect(exitCode).toBe(0);
    const said = JSON.parse(stdout) as { data: { id: string }[]; not_shared: { id: string; reason: string }[] };
    expect(said.data.map(({ id }) => id)).toEqual(['router/echo', 'claude/opus']);
    expect(said.not_shared).toEqual([
      { id: 'federation', reason: 'is the federation itself' },
      { id: 'gemini', reason: 'speaks google-generative-ai, which is not carried' },
    ]);
  });

  it('opens its route to the worker daemon alone', async () => {
    const url = `${federation.gateway.url}/federation/models/v1/models`;
    const key = (await readFile(join(federation.homeOf(LAPTOP), 'openclaw-models.key'), 'utf8')).trim();
    const status = async (headers: Record<string, string>) => (await fetch(url, { headers })).status;
    expect(await status({ authorization: `Bearer ${key}` })).toBe(200);
    expect(await status({})).toBe(401);
    expect(await status({ authorization: `Bearer ${federation.gateway.token}` })).toBe(401);
    expect(await status({ authorization: `Bearer ${key}`, origin: 'http://evil.example' })).toBe(403);
  });

  it('lets no key of a provider out of that OpenClaw', async () => {
    const texts = await Promise.all((await filesBelow(federation.place.path)).map((file) => readFile(file, 'latin1')));
    expect(texts.length).toBeGreaterThan(10);
    for (const key of [PROVIDER_KEY, ANTHROPIC_KEY]) expect(texts.filter((text) => text.includes(key))).toEqual([]);
    expect(federation.gateway.lines.filter((line) => line.includes(PROVIDER_KEY))).toEqual([]);
  });
});

function chunk(response: ServerResponse, delta: object, finish: string | null = null): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  const choices = [{ index: 0, delta, finish_reason: finish }];
  const event = { id: 'answer', created: 1, model: MODEL, object: 'chat.completion.chunk', choices };
  response.write(`data: ${JSON.stringify(event)}\n\n`);
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
