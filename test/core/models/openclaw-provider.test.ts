import { expect, it } from 'vitest';
import { openclawModel, providerSettings } from '#src/core/models/openclaw-provider.ts';

it('a model of which nothing is known takes 128000 tokens of text, answers 4096, and costs nothing', () => {
  expect(openclawModel('qwen3:8b', {})).toEqual({
    ...{ id: 'qwen3:8b', name: 'qwen3:8b', reasoning: false, input: ['text'] },
    ...{ cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, contextWindow: 128_000, maxTokens: 4096 },
  });
});

it('what is known of a model is told, and no answer is longer than all that it takes', () => {
  const cost = { input: 1, output: 2, cacheRead: 0.1, cacheWrite: 3 };
  const known = { description: 'Qwen', reasoning: true, input: ['text', 'image'] as const, cost };
  expect(openclawModel('q', { ...known, contextWindow: 2048 })).toEqual({
    ...{ id: 'q', name: 'Qwen', reasoning: true, input: ['text', 'image'], cost },
    ...{ contextWindow: 2048, maxTokens: 2048 },
  });
  expect(openclawModel('q', { maxTokens: 32_000 })).toMatchObject({ maxTokens: 32_000, contextWindow: 128_000 });
});

it('what OpenClaw’s settings say has no key in it', () => {
  const settings = providerSettings({ port: 19_001, keyFile: '/home/sam/.openclaw-worker/models.key' });
  expect(settings['models.providers.federation.apiKey']).toEqual({
    source: 'file',
    provider: 'federation',
    id: 'value',
  });
});
