import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ErrorCode } from '#src/core/errors.ts';
import type { ListedModelView } from '#src/protocol/models.ts';
import type { ModelUsage } from '#src/protocol/model-keys.ts';
import type { ModelServer } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { Finished } from './place.ts';
import { until } from './until.ts';

describe('the models of a federation', () => {
  let federation: Federation;
  let server: ModelServer;
  let home: string;
  beforeAll(async () => {
    server = await modelServer({ models: [{ id: 'qwen3:8b' }, { id: 'llama3' }] });
    federation = await startFederation({ workers: 2 });
    home = join(federation.directory, 'w1');
  });
  afterAll(async () => {
    await federation.stop();
    await server[Symbol.asyncDispose]();
  });

  const manage = (...words: string[]) => federation.manage(words);
  /** On the machine of w1. */
  const onNode = (...words: string[]): Promise<Finished> =>
    federation.place.run('manage-federation', ['--home', home, ...words]);
  const untilListed = (id: string) =>
    until(`${id} is listed`, async () => {
      const models = await federation.ask<ListedModelView[]>('models', 'list');
      return models.some((model) => model.id === id);
    });
  const shared = () => readFile(join(home, 'models.yaml'), 'utf8');

  it('a server is shared by one command, and used from then on', async () => {
    await writeFile(join(home, 'models.yaml'), '# what I share\nupstreams:\n', { mode: 0o600 });
    const ended = await onNode('models', 'share', 'box', '--url', server.baseUrl, '--concurrency', '2');
    expect(ended).toMatchObject({ exitCode: 0, stdout: '' });
    expect(ended.stderr).toContain('shares box, which has qwen3:8b, llama3');
    await untilListed('w1/qwen3:8b');
    const listed = await manage('models', 'list');
    expect(listed.stdout).toMatch(/^MODEL +NODES +API/);
    expect(listed.stdout).toMatch(/^qwen3:8b +w1 +openai/m);
    const tested = await manage('models', 'test', 'w1/qwen3:8b');
    expect(tested).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^answered by +w1$/m) });
  });

  it('what a person wrote in the file stays', async () => {
    await onNode(
      'models',
      'share',
      'other',
      '--url',
      'http://127.0.0.1:9',
      '--model',
      'Some/Model=some',
      '--model',
      'x',
    );
    expect(await shared()).toMatch(/^# what I share\nupstreams:\n/);
    expect(await shared()).toContain('as: some');
    expect((await stat(join(home, 'models.yaml'))).mode & 0o777).toBe(0o600);
    await untilListed('some');
    expect(await onNode('models', 'unshare', 'other')).toMatchObject({ exitCode: 0 });
    expect(await shared()).not.toContain('other');
    expect(await shared()).toContain('# what I share');
  });

  it('a chat streams, and its words are on standard output alone', async () => {
    expect(await manage('models', 'chat', 'qwen3:8b', 'hello', 'there')).toMatchObject({
      ...{ exitCode: 0, stdout: 'hello there\n', stderr: '' },
    });
    const running = federation.startManage(['models', 'chat', 'qwen3:8b', '--system', 'be short'], { stdin: 'pipe' });
    running.stdin?.end('from a pipe');
    expect(await running.ended).toMatchObject({ exitCode: 0, stdout: 'from a pipe\n' });
    expect(server.asked.at(-1)?.json).toMatchObject({ stream: true, messages: [{ role: 'system' }, { role: 'user' }] });
  });

  it('Ctrl-C ends a chat, also at the model server', async () => {
    const before = server.requests.filter(({ aborted }) => aborted).length;
    const running = federation.startManage(['models', 'chat', 'qwen3:8b', '[[words 1000]] [[pause 50]]']);
    await until('it streams', () => server.asked.at(-1)?.body.includes('words 1000') === true);
    await until('something is shown', () => running.stdout.readableLength >= 0 && server.asked.length > 0);
    running.kill('SIGINT');
    expect((await running.ended).exitCode).toBe(130);
    await server.untilAborted(before + 1);
  });

  it('a name of the owner’s own leads to a model', async () => {
    expect(await manage('models', 'route', 'fast', '--to', 'qwen3:8b', '--node', 'w1')).toMatchObject({ exitCode: 0 });
    expect(await manage('models', 'chat', 'fast', 'hi')).toMatchObject({ exitCode: 0, stdout: 'hi\n' });
    expect((await manage('models', 'route', 'fast')).stdout).toMatch(/^w1 +box +qwen3:8b +chosen/m);
    expect((await manage('models', 'route')).stdout).toMatch(/^fast +qwen3:8b +on w1/m);
    expect(await manage('models', 'route', '--remove', 'fast')).toMatchObject({ exitCode: 0 });
  });

  it('a key is on standard output alone, opens the hub, and shows up in what was used', async () => {
    const created = await manage(
      'models',
      'key',
      'create',
      'ci',
      '--models',
      'qwen*',
      '--budget',
      '1mtokens/day',
      '--rpm',
      '60',
    );
    expect(created.exitCode).toBe(0);
    expect(created.stdout).toMatch(/^ocfm_[\w-]{43}\n$/);
    expect(created.stderr).toContain(
      'for models qwen* (1000000 tokens a day, 60 requests a minute), until it is revoked',
    );
    const { listening } = await federation.ask<{ listening: string[] }>('status');
    const hub = listening.find((one) => one.startsWith('127.0.0.1:'));
    const ask = () =>
      fetch(`http://${hub}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${created.stdout.trim()}` },
        body: JSON.stringify({ model: 'qwen3:8b', messages: [{ role: 'user', content: 'one two' }] }),
      });
    expect((await ask()).status).toBe(200);
    const usage = await federation.ask<ModelUsage>('models', 'usage', '--since', '24h');
    expect(usage.rows.find(({ name }) => name === 'ci')).toMatchObject({
      kind: 'key',
      requests: 1,
      tokens: { output: 2 },
    });
    expect((await manage('models', 'usage', '--by', 'model')).stdout).toMatch(/^qwen3:8b +\d+ /m);
    expect((await manage('models', 'key', 'list')).stdout).toMatch(/^ci +[0-9a-f]{12} +qwen\*/m);
    expect(await manage('models', 'key', 'revoke', 'ci')).toMatchObject({ exitCode: 0 });
    expect((await ask()).status).toBe(401);
  });

  it('an upstream that fails is the upstream’s word', async () => {
    const ended = await manage('models', 'chat', 'qwen3:8b', '[[status 400]]');
    expect(ended).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ended.stderr).toBe('error: asked to fail with 400 (400)\n  try: look into the log of the model server\n');
    const broken = await manage('models', 'chat', 'qwen3:8b', '[[words 9]] [[break 3]]');
    expect(broken).toMatchObject({ exitCode: 1, stderr: 'error: the answer broke off\n  try: ask again\n' });
  });

  it.each<[string, string[], ErrorCode, number, RegExp, RegExp]>([
    ['no such model', ['chat', 'none', 'hi'], 'MODEL_NOT_FOUND', 3, /there is no model "none" now/, /models list/],
    ['a test of none', ['test', 'w2/qwen3:8b'], 'MODEL_NOT_FOUND', 3, /"w2\/qwen3:8b"/, /known: /],
    ['nothing to ask', ['chat', 'qwen3:8b', ' '], 'USAGE', 2, /./, /./],
    ['a route of none', ['route', 'none'], 'MODEL_NOT_FOUND', 3, /no node offers "none"/, /./],
    ['a route to nowhere', ['route', 'x', '--to', 'qwen3:8b', '--node', 'none'], 'NODE_NOT_FOUND', 3, /"none"/, /./],
    ['a route without its model', ['route', 'x', '--node', 'w1'], 'USAGE', 2, /give --to, too/, /--to/],
    ['a route that both comes and goes', ['route', 'x', '--to', 'y', '--remove'], 'USAGE', 2, /leave the other/, /./],
    ['a label that is none', ['route', 'x', '--to', 'y', '--label', 'gpu'], 'USAGE', 2, /is not KEY=VALUE/, /gpu=yes/],
    ['the removal of nothing', ['route', 'none', '--remove'], 'NOT_FOUND', 3, /there is no route "none"/, /./],
    ['a route’s name that is none', ['route', 'two words', '--to', 'y'], 'USAGE', 2, /alias/, /./],
    ['a key’s name that is none', ['key', 'create', 'No Name'], 'NODE_NAME_INVALID', 2, /name/, /no-name/],
    [
      'a budget that is none',
      ['key', 'create', 'x', '--budget', '5€'],
      'USAGE',
      2,
      /--budget: "5€" is no budget/,
      /100k/,
    ],
    ['a pace that is none', ['key', 'create', 'x', '--rpm', '0'], 'USAGE', 2, /1 to 1000000/, /--help/],
    ['a life that is none', ['key', 'create', 'x', '--ttl', 'ever'], 'USAGE', 2, /--ttl/, /--ttl/],
    ['a pattern that is none', ['key', 'create', 'x', '--models', 'a b'], 'USAGE', 2, /models/, /./],
    ['a key of nobody', ['key', 'revoke', 'nobody'], 'NOT_FOUND', 3, /no key fits "nobody"/, /key list/],
    ['a time that is none', ['usage', '--since', 'ever'], 'USAGE', 2, /--since: "ever"/, /--since 7d/],
    ['a row that is none', ['usage', '--by', 'price'], 'USAGE', 2, /--by/, /--help/],
    ['no word', ['share'], 'USAGE', 2, /missing required argument 'name'/, /--help/],
    ['a home without a node', ['share', 'ollama'], 'NOT_FOUND', 3, /is no home of a worker daemon/, /--home/],
  ])('%s: two lines, the right code, and the same as JSON', async (_, words, code, exitCode, error, hint) => {
    const [ended, json] = await Promise.all([manage('models', ...words), manage('--json', 'models', ...words)]);
    expectTwoLines(ended, exitCode, error, hint);
    expect(json).toMatchObject({ exitCode, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({ code });
  });

  it.each<[string, string[], number, RegExp, RegExp]>([
    ['a server that is not known', ['share', 'mine'], 2, /where mine is, is not known/, /--url/],
    ['a cloud without a key', ['share', 'openrouter'], 2, /openrouter wants a key/, /--key-file/],
    ['a URL that is none', ['share', 'a', '--url', 'localhost'], 2, /--url: not a URL/, /--help/],
    [
      'where clouds keep keys',
      ['share', 'a', '--url', 'http://169.254.169.254/v1'],
      2,
      /--url: 169\.254\.169\.254 is/,
      /./,
    ],
    ['a key in a URL', ['share', 'a', '--url', 'http://x:sk-1@h/v1'], 2, /--url: a URL holds no user/, /./],
    ['a name that is none', ['share', 'A b', '--url', 'http://127.0.0.1:9/v1'], 2, /the name: /, /./],
    ['a server that is away', ['share', 'a', '--url', 'http://127.0.0.1:9/v1'], 1, /nothing listens at/, /--no-check/],
    [
      'a key file that is not there',
      ['share', 'a', '--url', 'http://127.0.0.1:9', '--key-file', 'none'],
      2,
      /can’t be read/,
      /./,
    ],
    [
      'two keys',
      ['share', 'a', '--url', 'http://h', '--key-file', 'a', '--key-environment', 'B'],
      2,
      /not from both/,
      /./,
    ],
    ['a language that is none', ['share', 'a', '--api', 'gemini'], 2, /--api/, /--help/],
    [
      'a key for OpenClaw',
      ['share', 'openclaw', '--key-file', 'a'],
      2,
      /OpenClaw asks its providers/,
      /share openclaw/,
    ],
    ['what is not shared', ['unshare', 'none'], 3, /shares nothing that is named "none"/, /it shares box/],
  ])('%s is refused on the node, and nothing is written', async (_, words, exitCode, error, hint) => {
    const before = await shared();
    const ended = await onNode('models', ...words);
    expectTwoLines(ended, exitCode, error, hint);
    expect(ended.stderr).not.toContain('sk-1');
    expect(await shared()).toBe(before);
  });

  it('a file that is broken is not made worse', async () => {
    const before = await shared();
    await writeFile(join(home, 'models.yaml'), 'upstreams: [');
    const ended = await onNode('models', 'share', 'box', '--url', server.baseUrl);
    expectTwoLines(ended, 2, /^models\.yaml: /, /mend .*models\.yaml/);
    expect(await shared()).toBe('upstreams: [');
    expect(await manage('models', 'chat', 'qwen3:8b', 'still')).toMatchObject({ stdout: 'still\n' });
    await writeFile(join(home, 'models.yaml'), before);
  });
});

function expectTwoLines({ stderr, ...ended }: Finished, exitCode: number, error: RegExp, hint: RegExp): void {
  expect([ended.exitCode, stderr]).toEqual([exitCode, stderr]);
  const [, said = '', tried = ''] = /^error: (.+)\n {2}try: (.+)\n$/.exec(stderr) ?? [];
  expect([said, tried, stderr]).toEqual([expect.stringMatching(error), expect.stringMatching(hint), stderr]);
}
