import { expect, test } from 'vitest';
import { modelList, offerSchema } from '#src/protocol/models.ts';
import { anAsk, anOffer, aSite } from '../support/models.ts';

const taken = (models: unknown) => offerSchema.safeParse({ models }).success;

test.each([
  'gpt-4o',
  'meta-llama/Llama-3.3-70B-Instruct',
  'qwen3:8b',
  '@cf/meta/llama-3.1-8b',
  '~anthropic/claude-opus',
  'qwen2.5-7b-instruct@q4_k_m',
  '/models/llama.gguf',
  'accounts/fireworks/models/deepseek-v3',
  'm'.repeat(200),
])('a model may be called %s', (id) => {
  expect(taken([anOffer({ id })])).toBe(true);
});

test.each([
  '',
  '-rf',
  'a b',
  'a\nb',
  'a\0',
  'a"b',
  '$(reboot)',
  'a;b',
  'a`b`',
  'é',
  '‮gpt',
  'm'.repeat(201),
  '\u001b[2J',
])('a model may not be called %j', (id) => {
  expect(taken([anOffer({ id })])).toBe(false);
});

test.each([
  { upstream: '..' },
  { upstream: 'a/b' },
  { upstream: '' },
  { upstream: 'A' },
  { name: '' },
  { name: 'a\r\nx-evil: 1' },
  { name: 'n'.repeat(513) },
  { concurrency: 0 },
  { concurrency: 1.5 },
  { concurrency: 1e9 },
  { contextWindow: -1 },
  { contextWindow: 1e300 },
  { maxTokens: Number.NaN },
  { cost: { input: -1, output: 0, cacheRead: 0, cacheWrite: 0 } },
  { cost: { input: Infinity, output: 0, cacheRead: 0, cacheWrite: 0 } },
  { cost: { input: 1 } },
  { endpoints: ['/etc/passwd'] },
  { endpoints: ['/v1/../admin'] },
  { endpoints: Array.from({ length: 33 }, (_, at) => `/v1/x${at}`) },
  { input: ['text', 'text', 'text'] },
  { input: ['smell'] },
  { api: 'telnet' },
  { description: 'd'.repeat(2001) },
])('a node can’t say %j of a model', (said) => {
  expect(taken([{ ...anOffer(), ...said }])).toBe(false);
});

test('an offer has a bounded number of models, each once for an upstream', () => {
  const many = Array.from({ length: 1000 }, (_, at) => anOffer({ id: `m${at}` }));
  expect(taken(many)).toBe(true);
  expect(taken([...many, anOffer()])).toBe(false);
  expect(taken([anOffer(), anOffer()])).toBe(false);
  expect(taken([anOffer(), anOffer({ upstream: 'vllm' })])).toBe(true);
  expect(taken('llama')).toBe(false);
});

test('what a newer node says beside it is left out, and a description becomes one short line', () => {
  const said = { ...anOffer(), colour: 'red', description: `a model\n\u001b[31m of\u202e ${'x'.repeat(1000)}` };
  const [model] = offerSchema.parse({ models: [said] }).models;
  expect(model).not.toHaveProperty('colour');
  expect(model?.description).toMatch(/^a model \[31m of x+$/);
  expect(model?.description).toHaveLength(500);
});

test('the list is what OpenAI’s and Anthropic’s clients read', () => {
  const site = aSite();
  site.join('w1', [anOffer({ contextWindow: 8000, maxTokens: 100, input: ['text'], description: 'small' })]);
  const facts = { context_window: 8000, max_output_tokens: 100, input_modalities: ['text'], description: 'small' };
  const entry = (id: string, owner: string) => ({
    ...{ id, object: 'model', created: 0, owned_by: owner },
    ...{ type: 'model', display_name: id, created_at: '1970-01-01T00:00:00Z', ...facts },
  });
  expect(modelList(site.router.models(anAsk().consumer))).toEqual({
    object: 'list',
    data: [entry('llama', 'federation'), entry('w1/llama', 'w1')],
    ...{ has_more: false, first_id: 'llama', last_id: 'w1/llama' },
  });
  expect(modelList([])).toEqual({ object: 'list', data: [], has_more: false, first_id: null, last_id: null });
});
