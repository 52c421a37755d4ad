import { expect, test } from 'vitest';
import { createStoredAnswers, makesStored, storedId } from '#src/core/models/stored-answers.ts';

test.each([
  ['/v1/responses/resp_1', 'w1/box'],
  ['/v1/responses/resp_1/cancel', 'w1/box'],
  ['/v1/responses/resp_1/input_items', 'w1/box'],
  ['/v1/responses/resp_2', null],
  ['/v1/responses/resp_1/files', null],
  ['/v1/responses/', null],
  ['/v1/files/resp_1', null],
])('%s is asked for where it was made: %s', (endpoint, place) => {
  const stored = createStoredAnswers(() => 0);
  stored.made('k1', 'resp_1', 'w1/box');
  expect(stored.placeOf('k1', endpoint)).toBe(place);
  expect(stored.placeOf('k2', endpoint)).toBe(null);
});

test('nobody takes over an answer by its name, and a day later it is forgotten', () => {
  let now = 0;
  const stored = createStoredAnswers(() => now);
  stored.made('k1', 'resp_1', 'w1/box');
  stored.made('k1', 'resp_1', 'evil/box');
  expect(stored.placeOf('k1', '/v1/responses/resp_1')).toBe('w1/box');
  now = 24 * 3600_000;
  expect(stored.placeOf('k1', '/v1/responses/resp_1')).toBe(null);
  stored.made('k1', 'resp_1', 'w2/box');
  expect(stored.placeOf('k1', '/v1/responses/resp_1')).toBe('w2/box');
});

test('of many the oldest is forgotten', () => {
  const stored = createStoredAnswers(() => 0);
  for (let at = 0; at <= 10_000; at++) stored.made('k1', `r${at}`, 'w1/box');
  expect(stored.placeOf('k1', '/v1/responses/r0')).toBe(null);
  expect(stored.placeOf('k1', '/v1/responses/r1')).toBe('w1/box');
});

test.each([
  ['{"id":"resp_1","object":"response","output":[{"id":"msg_1"}]}', 'resp_1'],
  ['{ "object": "response", "id" : "resp_2" }', 'resp_2'],
  ['event: response.created\ndata: {"type":"response.created","response":{"id":"resp_3"}}\n\n', 'resp_3'],
  ['{"error":{"message":"no"}}', null],
  [`{"id":"${'x'.repeat(201)}"}`, null],
  ['{"id":"../files"}', null],
])('%s is the answer %s', (head, id) => {
  expect(storedId(head)).toBe(id);
});

test('only what answers to POST /v1/responses is kept by an upstream', () => {
  expect(makesStored('POST', '/v1/responses')).toBe(true);
  expect(makesStored('GET', '/v1/responses')).toBe(false);
  expect(makesStored('POST', '/v1/responses/resp_1/cancel')).toBe(false);
});
