import { describe, expect, test } from 'vitest';
import { displayNameOf, isSameName } from '#src/core/openclaw-node.ts';

const DEVICE = 'd'.repeat(64);

const UNSEEN = [
  ...['\u00ad', '\u034f', '\u115f', '\u1160', '\u17b4', '\u180b', '\u180e', '\u200b', '\u200d', '\u202e', '\u2060'],
  ...['\u2800', '\u3164', '\ufe0f', '\ufeff', '\uffa0', '\u{1d173}', '\u{e0041}', '\u{e0100}'],
].map((character) => [`U+${character.codePointAt(0)!.toString(16)}`, character] as const);

describe.each(UNSEEN)('%s, which nothing shows,', (_, unseen) => {
  test('is no part of a name', () => {
    expect(displayNameOf(`${unseen}web${unseen}-1${unseen}`, DEVICE)).toBe('web-1');
    expect(displayNameOf(` ${unseen} `, DEVICE)).toBe('dddd-dddd-dddd-dddd');
  });

  test('makes no other name of one', () => {
    expect(isSameName(`web-1${unseen}`, 'Web-1')).toBe(true);
    expect(isSameName('web-1', `${unseen}we${unseen}b-1`)).toBe(true);
  });
});

test('what would move the cursor or end the line shows as what it is not', () => {
  expect(displayNameOf('a\u001b[2J\nb\u2028c', DEVICE)).toBe('a\ufffd[2J\ufffdb\ufffdc');
});

test('blanks of any width are one', () => {
  expect(isSameName('Kim’s \u2003 phone ', 'kim’s\u00a0phone')).toBe(true);
  expect(isSameName('web-1', 'web1')).toBe(false);
});
