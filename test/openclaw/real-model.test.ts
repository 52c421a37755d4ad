import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ModelKeyCreated, ModelUsage } from '#src/protocol/model-keys.ts';
import type { ListedModelView } from '#src/protocol/models.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { writeTinyModel } from '../support/llama/tiny-model.ts';

/** llama.cpp as npm has it, compiled. The larger builds for graphics cards are left out. */
const PACKAGES = ['node-llama-cpp@3.22.1', '@node-llama-cpp/linux-x64@3.22.1'];
const INSTALL = ['install', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--no-package-lock'];

let directory: string;
let federation: Federation;
let key: string;
let direct: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-llama-'));
  await writeFile(join(directory, 'package.json'), '{"private":true}');
  await execa('npm', [...INSTALL, ...PACKAGES], { cwd: directory });
  const model = join(directory, 'tiny.gguf');
  await writeTinyModel(model);
  const program = fileURLToPath(new URL('../support/llama/server.mjs', import.meta.url));
  const server = execa(process.execPath, [program, directory, model], { reject: false, buffer: false });
  stop = async () => {
    server.kill('SIGKILL');
    await server;
  };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  server.stdout.once('data', (port: Buffer) => resolve(port.toString().trim()));
  void server.then((ended) => reject(new Error(`the model server ended: ${ended.exitCode}`)));
  direct = `http://127.0.0.1:${await promise}`;
  federation = await startFederation({ workers: 2 });
  await writeFile(join(federation.home('w1'), 'models.yaml'), `upstreams:\n- {name: llama, baseUrl: '${direct}/v1'}\n`);
  await eventually('the hub lists it', async () =>
    (await federation.get<ListedModelView[]>('/models')).some(({ id }) => id === 'tiny'),
  );
  key = (await federation.post<ModelKeyCreated>('/models/keys', { name: 'test' })).secret;
}, 300_000);

afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
  await stop?.();
  await rm(directory, { recursive: true, force: true });
});

function ask(origin: string, more: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hello world' }], ...more }),
    ...(signal === undefined ? {} : { signal }),
  });
}

const hub = (): string => `http://127.0.0.1:${federation.hub.port}`;
const evaluated = async (): Promise<number> =>
  ((await (await fetch(`${direct}/evaluated`)).json()) as { evaluated: number }).evaluated;

it('a real model answers through the federation as it does directly, whole and as a stream', async () => {
  for (const more of [{ max_tokens: 24 }, { max_tokens: 24, stream: true }]) {
    const answers = [await ask(direct, more), await ask(hub(), more)];
    const [own, through] = [await answers[0]!.bytes(), await answers[1]!.bytes()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(through.length).toBeGreaterThan(100);
    expect(through).toEqual(own);
  }
  const usage = await eventually('its tokens are counted', async () => {
    const { rows } = await federation.get<ModelUsage>('/models/usage?by=model');
    return rows.find(({ requests }) => requests === 2);
  });
  expect(usage.tokens.output).toBe(48);
});

it('a client that goes ends the work of the model', async () => {
  const before = await evaluated();
  const gone = new AbortController();
  const answer = await ask(hub(), { max_tokens: 900, stream: true }, gone.signal);
  await answer.body!.getReader().read();
  gone.abort();
  // The model takes one request after the other: this one is answered when that one is over.
  expect((await ask(hub(), { max_tokens: 1 })).status).toBe(200);
  expect((await evaluated()) - before).toBeLessThan(900);
});
