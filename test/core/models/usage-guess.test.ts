import { expect, test } from 'vitest';
import { usageTap } from '#src/core/models/usage.ts';
import { believable, guessInput, guessTokens } from '#src/core/models/usage-guess.ts';

const CHAT = { endpoint: '/v1/chat/completions', requestBytes: 4000, answerBytes: 0, events: 0, contextWindow: 50_000 };

test('a prompt and an answer in one piece are guessed by their length, and never as more than the model takes', () => {
  expect(guessTokens({ ...CHAT, answerBytes: 400 })).toBe(1100);
  expect(guessTokens({ ...CHAT, requestBytes: 30 << 20 })).toBe(50_000);
  expect(guessInput('/v1/messages', 30 << 20)).toBe(200_000);
});

test('a stream is guessed by its events, and by its length where one holds many tokens', () => {
  expect(guessTokens({ ...CHAT, answerBytes: 25_000, events: 100 })).toBe(1100);
  expect(guessTokens({ ...CHAT, answerBytes: 40_300, events: 1 })).toBe(11_000);
});

test('what is no text is not guessed', () => {
  expect(guessTokens({ ...CHAT, endpoint: '/v1/audio/transcriptions', requestBytes: 1 << 20 })).toBeNull();
  expect(guessInput('/v1/images/edits', 1 << 20)).toBe(0);
  expect(guessTokens({ ...CHAT, endpoint: '/v1/embeddings', answerBytes: 1 << 20 })).toBe(1000);
});

test('what an upstream can’t have counted is not believed', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const believed = believable({ input: most, output: most, cached: most }, 100);
  expect(believed).toEqual({ input: 100 + (1 << 20), output: 1 << 20, cached: 100 + (1 << 20) });
  expect(believable({ input: 5, output: 6, cached: 1 }, 100)).toEqual({ input: 5, output: 6, cached: 1 });
});

test('events are counted while they pass', () => {
  const tap = usageTap('text/event-stream; charset=utf-8', null);
  tap.push(Buffer.from('event: a\ndata: 1\n\nevent: b\ndata: 2\n\n'));
  tap.push(Buffer.from('data: 3\r\n\r\n'));
  expect(tap.events()).toBe(3);
  const json = usageTap('application/json', null);
  json.push(Buffer.from('{"a":"data:"}'));
  expect(json.events()).toBe(0);
});
