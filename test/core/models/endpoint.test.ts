import { expect, test } from 'vitest';
import {
  apiOf,
  endpointOf,
  isModelUrl,
  isPlainEndpoint,
  modelIdIn,
  needsModel,
  upstreamPath,
} from '#src/core/models/endpoint.ts';
import { mayLeadBack, wayOf } from '#src/core/models/way.ts';

test.each(['/v1', '/v1?x', '/v1/models', '/v1/x?y=1'])('%s is a path of models', (url) => {
  expect(isModelUrl(url)).toBe(true);
});

test.each(['/', '/v10', '/v1x/y', '/api/v1/nodes', 'http://x/v1/'])('%s is none', (url) => {
  expect(isModelUrl(url)).toBe(false);
});

test.each([
  ...[
    '/v1/../api/delete',
    '/v1/..',
    '/v1/./x',
    '/v1/%2e%2e/api',
    '/v1/a%2F..',
    '/v1/a%5cb',
    '/v1/a\\..\\b',
    '/v1/a%00',
    '/v1/%252e',
    '/v1/..;/api/tags',
    '/v1/.;x/y',
    '/v1/%63hat/completions',
    '/v1/chat%5Fcompletions',
    '/v1/%7euser',
  ],
  ...['/v2/x', '/v1', '/v1/é', '/v1/a b', '/v1/a#b'],
])('%s could be read as another place', (endpoint) => {
  expect(isPlainEndpoint(endpoint)).toBe(false);
});

test.each([
  '/v1/chat/completions',
  '/v1/responses/resp_1/cancel',
  '/v1/files/a..b',
  '/v1/x/...',
  '/v1/a%20b',
  '/v1/a%3Ab',
  '/v1/a;b/..c',
  '/v1//x',
])('%s is what it says', (endpoint) => {
  expect(isPlainEndpoint(endpoint)).toBe(true);
});

test('knows whose words an error is said in', () => {
  expect(apiOf('/v1/messages/count_tokens')).toBe('anthropic');
  expect(apiOf('/v1/messages')).toBe('anthropic');
  expect(apiOf('/v1/messages_x')).toBe('openai');
  expect(apiOf('/v1/chat/completions')).toBe('openai');
});

test('keeps the query out of the endpoint and in the path of the upstream', () => {
  expect(endpointOf('/v1/x?a=/v1/messages')).toBe('/v1/x');
  expect(upstreamPath('/api/v1', '/v1/x?a=1')).toBe('/api/v1/x?a=1');
});

test('knows what can’t do without a model', () => {
  expect(['/v1/chat/completions', '/v1/messages/count_tokens', '/v1/audio/speech'].every(needsModel)).toBe(true);
  expect(['/v1/files', '/v1/responses/resp_1', '/v1/batches'].some(needsModel)).toBe(false);
});

test('reads the id of a model from a path', () => {
  expect(modelIdIn('/v1/models/meta%2Fllama')).toBe('meta/llama');
  expect(modelIdIn('/v1/models/meta/llama')).toBe('meta/llama');
  expect(modelIdIn('/v1/models')).toBe(null);
  expect(modelIdIn('/v1/models/%zz')).toBe(null);
});

test.each([
  '127.0.0.1',
  '[::1]',
  '192.168.1.5',
  '100.101.102.103',
  'localhost',
  'gpu-box',
  'vps.tail1234.ts.net',
  'nas.local',
])('the way goes to %s, which could be a federation', (host) => {
  expect(mayLeadBack(host)).toBe(true);
});

test.each(['api.openai.com', 'openrouter.ai', '8.8.8.8', '[2001:4860::1]', 'localhost.example.com'])(
  'and not to %s',
  (host) => {
    expect(mayLeadBack(host)).toBe(false);
  },
);

test('reads a way as far as it is one', () => {
  const id = 'ab'.repeat(32);
  expect(wayOf('2', `${id}, cd`)).toEqual({ hops: 2, via: [id, 'cd'] });
  expect(wayOf('x', '<script>,zz')).toEqual({ hops: 0, via: [] });
  expect(wayOf(null, null)).toEqual({ hops: 0, via: [] });
  expect(wayOf('-1', Array.from({ length: 100 }, () => 'a').join()).via).toHaveLength(16);
});
