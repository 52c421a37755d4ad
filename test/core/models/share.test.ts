import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { isNeverAsked, readBaseUrl } from '#src/core/models/base-url.ts';
import { offerOf } from '#src/core/models/offer.ts';
import type { SharedUpstream } from '#src/core/models/share.ts';
import { readShares } from '#src/core/models/share.ts';

function shares(file: unknown): readonly SharedUpstream[] {
  const read = readShares(file);
  if (!read.ok) throw new Error(read.problems.join('; '));
  return read.upstreams;
}

function problems(file: unknown): readonly string[] {
  const read = readShares(file);
  return read.ok ? [] : read.problems;
}

const one = (entry: object): object => ({
  upstreams: [{ name: 'ollama', baseUrl: 'http://127.0.0.1:1/v1', ...entry }],
});
const shared = (entry: object = {}): SharedUpstream => shares(one(entry))[0]!;

test('a server needs a name and an address, and the rest has a value', () => {
  expect(shared()).toEqual({
    name: 'ollama',
    api: 'openai',
    baseUrl: 'http://127.0.0.1:1/v1',
    models: 'ask',
    only: ['*'],
    except: [],
    askEverySeconds: 60,
    concurrency: 8,
    timeouts: { connectSeconds: 1.5, firstByteSeconds: 300, idleSeconds: 120 },
  });
  expect(shares({ upstreams: [{ name: 'own', source: 'openclaw' }] })[0]).toMatchObject({ source: 'openclaw' });
});

test.each([null, {}, { upstreams: null }, { upstreams: [] }])(
  'a file that names nothing shares nothing: %j',
  (file) => {
    expect(shares(file)).toEqual([]);
  },
);

test.each<[unknown, RegExp]>([
  ['text', /^models\.yaml: /],
  [[], /^models\.yaml: /],
  [{ upstreams: {} }, /^upstreams: /],
  [{ upstream: [] }, /^upstream: unknown key$/],
  [{ upstreams: ['ollama'] }, /^upstreams\.0: /],
  [{ upstreams: [null] }, /^upstreams\.0: /],
  [{ upstreams: [{ baseUrl: 'http://a/v1' }] }, /^upstreams\.0\.name: /],
  [{ upstreams: [{ name: 'A b', baseUrl: 'http://a/v1' }] }, /^upstreams\.0\.name: a name is 1 to 63 of/],
  [{ upstreams: [{ name: 'a' }] }, /^upstreams\.0\.baseUrl \(a\): /],
  [one({ baseUrl: '127.0.0.1:11434' }), /baseUrl \(ollama\): (?:not a URL|a URL begins with http)/],
  [one({ baseUrl: 'file:///etc/passwd' }), /a URL begins with http:\/\/ or https:\/\//],
  [one({ baseUrl: 'http://user:pw@127.0.0.1/v1' }), /a URL holds no user and no password/],
  [one({ baseUrl: 'http://127.0.0.1/v1?key=1' }), /without \? or #/],
  [one({ baseUrl: 'http://169.254.169.254/latest' }), /is where clouds keep credentials/],
  [
    one({ apiKey: 'sk-secret' }),
    /^upstreams\.0\.apiKey \(ollama\): a key never stands in this file: name its keyFile$/,
  ],
  [one({ keyFile: 'a', keyEnvironment: 'B' }), /from keyFile or from keyEnvironment, not from both/],
  [one({ keyEnvironment: 'A-B' }), /the name of a variable/],
  [one({ api: 'gemini' }), /^upstreams\.0\.api \(ollama\): /],
  [one({ models: 'all' }), /write models: ask, or a list of names/],
  [one({ models: [] }), /models/],
  [one({ models: [{ name: 'a', as: 'two words' }] }), /models/],
  [one({ models: [{ name: 'a', contextWindow: 0 }] }), /models/],
  [one({ concurrency: 0 }), /concurrency/],
  [one({ askEverySeconds: 0.5 }), /askEverySeconds/],
  [one({ timeouts: { connectSeconds: 0 } }), /timeouts\.connectSeconds/],
  [{ upstreams: [{ name: 'own', source: 'codex' }] }, /^upstreams\.0\.source \(own\): /],
  [{ upstreams: [{ name: 'own', source: 'openclaw', baseUrl: 'http://a/v1' }] }, /baseUrl \(own\): unknown key$/],
  [
    JSON.parse('{"upstreams":[{"name":"a","baseUrl":"http://a/v1","__proto__":{"x":1}}]}'),
    /__proto__ \(a\): unknown key/,
  ],
])('what is wrong is named by its place and its upstream: %j', (file, problem) => {
  expect(problems(file).join('\n')).toMatch(problem);
});

test('two of one name are told apart by nobody, and all faults are named at once', () => {
  const twice = { upstreams: [{ name: 'a', baseUrl: 'http://a' }, { name: 'a', baseUrl: 'http://b' }, { name: 'c' }] };
  expect(problems(twice)).toEqual([
    'upstreams.1.name: a is the name of another one, too',
    expect.stringMatching(/^upstreams\.2\.baseUrl \(c\): /),
  ]);
});

test('no words of the file come back that could be a secret', () => {
  const file = one({ baseUrl: 'http://me:hunter2@host/v1', token: 'sk-hunter2' });
  expect(problems(file).join('\n')).not.toContain('hunter2');
});

describe('a base URL', () => {
  test.each([
    ['http://127.0.0.1:11434/v1', 'http://127.0.0.1:11434/v1'],
    ['http://127.0.0.1:11434/v1/', 'http://127.0.0.1:11434/v1'],
    ['http://127.0.0.1:11434', 'http://127.0.0.1:11434/v1'],
    ['https://openrouter.ai/api/v1', 'https://openrouter.ai/api/v1'],
    ['http://[::1]:8000/v1', 'http://[::1]:8000/v1'],
    ['http://[2002:808:808::1]/v1', 'http://[2002:808:808::1]/v1'],
    ['http://GPU-Box.lan:80/V1', 'http://gpu-box.lan/V1'],
  ])('%s is %s', (text, url) => {
    expect(readBaseUrl(text)).toEqual({ ok: true, url });
  });

  test.each([
    'http://169.254.169.254/v1',
    'http://169.254.1.1/v1',
    'http://0xa9fea9fe/v1',
    'http://2852039166/v1',
    'http://0251.0376.0251.0376/v1',
    'http://[::ffff:169.254.169.254]/v1',
    'http://[fe80::1]/v1',
    'http://[fd00:ec2::254]/v1',
    'http://100.100.100.200/v1',
    'http://168.63.129.16/v1',
    'http://192.0.0.192/v1',
    'http://[fd20:ce::254]/v1',
    'http://[fd00:42::42]/v1',
    'http://[64:ff9b::a9fe:a9fe]/v1',
    'http://[64:ff9b:1::a9fe:a9fe]/v1',
    'http://[2002:a9fe:a9fe::]/v1',
    'http://[2002:a9fe:a9fe::1]/v1',
    'http://[::a9fe:a9fe]/v1',
    'ftp://127.0.0.1/v1',
    'javascript:alert(1)',
    'http://',
    '',
    'x'.repeat(5000),
  ])('%s is none', (text) => {
    expect(readBaseUrl(text).ok).toBe(false);
  });

  test('what a name leads to is looked at by its address', () => {
    expect(['169.254.169.254', '::ffff:169.254.169.254', 'fe80::1%eth0'].map(isNeverAsked)).toEqual([true, true, true]);
    expect(['127.0.0.1', '::1', '100.64.0.1', '192.168.1.1', 'name'].map(isNeverAsked)).toEqual([
      ...[false, false, false, false, false],
    ]);
  });
});

describe('what is offered', () => {
  const told = [
    { name: 'qwen3:8b', loaded: true, contextWindow: 4096 },
    { name: 'llama3', loaded: false },
  ];

  test('of a server that is asked: what it has, as it says it', () => {
    const upstream = { upstream: 'ollama', api: 'openai', concurrency: 8 };
    expect(offerOf(shared(), told).models).toEqual([
      { id: 'qwen3:8b', name: 'qwen3:8b', loaded: true, contextWindow: 4096, ...upstream },
      { id: 'llama3', name: 'llama3', loaded: false, ...upstream },
    ]);
    expect(offerOf(shared(), null).models).toEqual([]);
  });

  test('patterns choose among them', () => {
    const names = (entry: object) => offerOf(shared(entry), told).models.map(({ id }) => id);
    expect(names({ only: ['qwen*'] })).toEqual(['qwen3:8b']);
    expect(names({ except: ['*:8b'] })).toEqual(['llama3']);
    expect(names({ only: ['none'] })).toEqual([]);
  });

  test('of a server whose models are named: those, also unasked, with what is written and what it says', () => {
    const models = [{ name: 'qwen3:8b', as: 'qwen', maxTokens: 100 }, 'other'];
    expect(offerOf(shared({ models }), told).models).toMatchObject([
      { id: 'qwen', name: 'qwen3:8b', maxTokens: 100, contextWindow: 4096, loaded: true },
      { id: 'other', name: 'other' },
    ]);
    expect(offerOf(shared({ models }), null).models.map(({ id }) => id)).toEqual(['qwen', 'other']);
  });

  test('a name that no client can write is left out and told, and a name counts once', () => {
    const hostile = [
      { name: 'two words' },
      { name: '\u001b[31m' },
      { name: 'a' },
      { name: 'a', loaded: true },
      { name: '' },
    ];
    const { models, unfit } = offerOf(shared(), hostile);
    expect(models.map(({ id }) => id)).toEqual(['a']);
    expect(unfit).toHaveLength(3);
  });
});

describe('templates/models.yaml', async () => {
  const template = await readFile(resolve(import.meta.dirname, '../../../templates/models.yaml'), 'utf8');

  test('shares nothing as it stands', () => {
    expect(shares(parse(template))).toEqual([]);
  });

  test('every example in it is one that can be used', () => {
    const examples = template.replace(/^#(?= {2})/gm, '');
    expect(shares(parse(examples)).map(({ name }) => name)).toEqual([
      ...['ollama', 'lm-studio', 'vllm', 'openrouter', 'anthropic', 'openclaw'],
    ]);
  });
});
