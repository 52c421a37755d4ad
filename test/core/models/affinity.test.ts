import { expect, test } from 'vitest';
import { affinityKeys } from '#src/core/models/affinity.ts';

const NOTHING = { consumer: 'key:1', session: null, promptCacheKey: null, user: null, prompt: null };

function turns(...texts: readonly string[]): Uint8Array {
  const messages = texts.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }));
  return Buffer.from(JSON.stringify(messages));
}

function keysOf(prompt: Uint8Array): readonly string[] {
  return affinityKeys({ ...NOTHING, prompt });
}

test('what a client says itself counts alone, the session before the cache key before the user', () => {
  const prompt = turns('hello');
  const all = { ...NOTHING, session: 's', promptCacheKey: 'c', user: 'u', prompt };
  expect(affinityKeys(all)).toEqual(['key:1 session s']);
  expect(affinityKeys({ ...all, session: null })).toEqual(['key:1 cache c']);
  expect(affinityKeys({ ...all, session: '', promptCacheKey: null })).toEqual(['key:1 user u']);
  expect(affinityKeys(NOTHING)).toEqual([]);
});

test('the next turn of a conversation has the longest key of this one', () => {
  const [first] = keysOf(turns('a question, with "quotes", [brackets] and {braces}, \\'));
  const next = keysOf(turns('a question, with "quotes", [brackets] and {braces}, \\', 'an answer', 'another question'));
  expect(next).toContain(first);
  expect(next.indexOf(first!)).toBe(2);
  expect(next).toHaveLength(3);
});

test('conversations that begin alike part where they differ', () => {
  const system = 'you are an agent. '.repeat(500);
  const [one] = keysOf(turns(system, '', 'first'));
  const other = keysOf(turns(system, '', 'second'));
  expect(other).not.toContain(one);
  expect(keysOf(turns(system, '', 'first')).filter((key) => other.includes(key))).toHaveLength(2);
});

test('two consumers who write the same have two conversations', () => {
  const prompt = turns('hello');
  const mine = affinityKeys({ ...NOTHING, prompt });
  const yours = affinityKeys({ ...NOTHING, consumer: 'key:2', prompt });
  expect(mine.filter((key) => yours.includes(key))).toEqual([]);
});

test('the keys of a long conversation are bounded, and the next turn still meets one', () => {
  const texts = Array.from({ length: 400 }, (_, at) => `message ${at} `.repeat(50));
  const now = keysOf(turns(...texts));
  const next = keysOf(turns(...texts, 'more', 'and more'));
  expect(now.length).toBeLessThanOrEqual(32);
  expect(next[0]).toBe(now[0]);
});

test.each(['"one long text"', '""', '', '[', ']]]', '["', '{"a":1}', '[[[[', '\0\0', ',,,,'])(
  'a prompt that is no list of messages is no trouble: %j',
  (text) => {
    const keys = keysOf(Buffer.from(text));
    expect(keys.length > 0).toBe(text !== '');
    expect(keysOf(Buffer.from(text))).toEqual(keys);
  },
);
