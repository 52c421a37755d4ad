import { expect, test } from 'vitest';
import { usageTap } from '#src/core/models/usage.ts';

const EVENTS = 'text/event-stream; charset=utf-8';

function tokens(text: string, type = 'application/json', size = text.length) {
  const tap = usageTap(type, null);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) tap.push(bytes.subarray(at, at + size));
  return tap.tokens();
}

const chat = { prompt_tokens: 17, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 8 } };
const wanted = { input: 17, output: 5, cached: 8 };

test.each([1, 7, 100, 4096, 1 << 20])('reads the usage of an answer that comes in pieces of %d', (size) => {
  for (const length of [0, 10, 2000, 3000, 16_000, 20_000, 50_000]) {
    const text = JSON.stringify({ choices: [{ text: 'x'.repeat(length) }], usage: chat });
    expect(tokens(text, 'application/json; charset=utf-8', size)).toEqual(wanted);
  }
});

test('reads the last events of a stream, of which the one before the end may have none', () => {
  const filler = 'data: {"choices":[{"delta":{"content":"word"}}],"usage":null}\n\n'.repeat(1000);
  const end = `data: {"choices":[],"usage":${JSON.stringify(chat)}}\n\ndata: [DONE]\n\n`;
  expect(tokens(filler + end, EVENTS, 63)).toEqual(wanted);
  expect(tokens(filler, EVENTS, 63)).toBe(null);
});

test('reads the usage inside of a response that is told once more at its end', () => {
  const usage = { input_tokens: 17, output_tokens: 5, input_tokens_details: { cached_tokens: 8 } };
  const response = { output: 'x'.repeat(30_000), usage, user: null };
  expect(tokens(`event: response.completed\ndata: ${JSON.stringify({ response })}\n\n`, EVENTS, 1000)).toEqual(wanted);
});

test('joins what Anthropic’s streams say at their beginning and at their end', () => {
  const start = {
    message: {
      usage: { input_tokens: 5, cache_read_input_tokens: 8, cache_creation_input_tokens: 4, output_tokens: 1 },
    },
  };
  const filler = 'event: content_block_delta\ndata: {"delta":{"text":"word"}}\n\n'.repeat(1000);
  const text = `event: message_start\ndata: ${JSON.stringify(start)}\n\n${filler}event: message_delta\ndata: {"usage":{"output_tokens":5}}\n\n`;
  expect(tokens(text, EVENTS, 50)).toEqual(wanted);
  // Aborted in the middle.
  expect(tokens(text.slice(0, 5000), EVENTS, 50)).toEqual({ input: 17, output: 1, cached: 8 });
});

test('is not led astray by what a model writes or a tool is called', () => {
  const said = JSON.stringify({ content: '{"usage":{"prompt_tokens":999,"completion_tokens":999}}' });
  const tools = '"tools":[{"properties":{"usage":{"type":"object"}}}]';
  expect(tokens(`{"a":${said},"usage":${JSON.stringify(chat)},${tools}}`)).toEqual(wanted);
  expect(tokens(`{"a":${said},${tools},"usage":{"prompt_tokens":-1,"completion_tokens":1e99}}`)).toBe(null);
  expect(tokens(`{"usage":{"prompt_tokens":1`)).toBe(null);
});

test('looks at nothing that is compressed or no text', () => {
  const tap = usageTap('application/json', 'gzip');
  tap.push(Buffer.from(JSON.stringify({ usage: chat })));
  expect(tap.tokens()).toBe(null);
  expect(tokens(JSON.stringify({ usage: chat }), 'audio/mpeg')).toBe(null);
});

test('leaves the bytes as they are', () => {
  const bytes = Buffer.from(JSON.stringify({ usage: chat, x: 'y'.repeat(40_000) }));
  const copy = Buffer.from(bytes);
  const tap = usageTap(EVENTS, null);
  tap.push(bytes);
  tap.push(bytes);
  expect(bytes.equals(copy)).toBe(true);
});
