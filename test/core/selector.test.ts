import { expect, test } from 'vitest';
import type { Selectable } from '#src/core/selector.ts';
import { isSelected, parseSelector } from '#src/core/selector.ts';

const node = (changed: Partial<Selectable>): Selectable => ({ labels: {}, groups: [], tailnet: null, ...changed });

function selects(word: string, changed: Partial<Selectable>): boolean {
  const selector = parseSelector(word);
  return selector.kind !== 'node' && isSelected(selector, node(changed));
}

test.each([
  ['w1', { kind: 'node', word: 'w1' }],
  ['3f2a-91bc', { kind: 'node', word: '3f2a-91bc' }],
  ['@gpu', { kind: 'group', group: 'gpu' }],
  ['tags:gpu', { kind: 'tag', tag: 'gpu' }],
  ['tag:gpu', { kind: 'tag', tag: 'gpu' }],
  ['env=home', { kind: 'label', key: 'env', value: 'home' }],
  ['env=', { kind: 'label', key: 'env', value: '' }],
  ['motd=a=b c', { kind: 'label', key: 'motd', value: 'a=b c' }],
  ['tags:a=b', { kind: 'tag', tag: 'a=b' }],
])('a word is read for what it is: %s', (word, selector) => {
  expect(parseSelector(word)).toEqual(selector);
});

test.each(['self/gpu=yes', 'tags:self/gpu', 'tag:self/gpu'])('nobody is selected by its own word: %s', (word) => {
  expect(() => parseSelector(word)).toThrow('says of itself');
});

test.each(['=home', 'tags:', 'tag:'])('what names no label is refused: %s', (word) => {
  expect(() => parseSelector(word)).toThrow('names no label');
});

test.each<[string, Partial<Selectable>, boolean]>([
  ['tags:gpu', { labels: { gpu: '' } }, true],
  ['tags:gpu', { labels: { gpu: 'rtx' } }, true],
  ['tags:gpu', { labels: { tag: 'gpu' } }, true],
  ['tags:gpu', { tailnet: { tags: ['tag:arm', 'tag:gpu'] } }, true],
  ['tags:gpu', { tailnet: { tags: ['tag:gpu2', 'gpu'] } }, false],
  ['tags:gpu', { labels: { env: 'gpu' }, groups: ['gpu'] }, false],
  ['tags:gpu', { labels: { 'self/gpu': 'yes' } }, false],
  ['tags:constructor', {}, false],
  ['tags:__proto__', {}, false],
  ['env=home', { labels: { env: 'home' } }, true],
  ['env=home', { labels: { env: 'Home' } }, false],
  ['env=', { labels: { env: '' } }, true],
  ['env=', {}, false],
  ['toString=x', {}, false],
  ['@gpu', { groups: ['gpu'] }, true],
  ['@gpu', { labels: { gpu: '' } }, false],
])('%s selects %j: %s', (word, changed, expected) => {
  expect(selects(word, changed)).toBe(expected);
});
