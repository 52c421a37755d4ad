import { expect, test } from 'vitest';
import { formatJoinToken, parseJoinToken } from '#src/core/join-token.ts';
import { checkNodeName, fingerprint, isNodeName, nodeNameFrom } from '#src/core/node.ts';
import { scrub } from '#src/core/secrets.ts';
import { findNode } from '#src/core/selector.ts';
import { randomNumbers } from '../support/random.ts';

test.each(['a', 'w1', 'home-server', '0', 'a-b', 'g'.repeat(63), '123'])('%s may name a node', (name) => {
  expect(checkNodeName(name)).toBe(name);
});

test.each([
  ['', 'node'],
  ['-', 'node'],
  ['W1', 'w1'],
  ['a_b', 'a-b'],
  ['-a', 'a'],
  ['a-', 'a'],
  ['a b', 'a-b'],
  ['a\nb', 'a-b'],
  ['a\n', 'a'],
  ['../etc', 'node'],
  ['wｗ', 'w'],
  ['Pi.local', 'pi'],
  ['\u001b[2J', '2j'],
  ['a'.repeat(64), 'a'.repeat(63)],
])('%j may not, and the nearest that may is %s', (name, nearest) => {
  expect(isNodeName(name)).toBe(false);
  expect(nodeNameFrom(name)).toBe(nearest);
  expect(() => checkNodeName(name)).toThrow(
    expect.objectContaining({ code: 'NODE_NAME_INVALID', hint: `use ${nearest}` }),
  );
});

test('a name that is made from anything is one that may be used', () => {
  const random = randomNumbers(1);
  for (let round = 0; round < 2000; round += 1) {
    const codes = Array.from({ length: Math.floor(random() * 80) }, () => Math.floor(random() ** 3 * 0x2000));
    expect(nodeNameFrom(String.fromCodePoint(...codes))).toSatisfy(isNodeName);
  }
});

test('a fingerprint is the beginning of the id, in groups', () => {
  expect(fingerprint('0123456789abcdef'.repeat(4))).toBe('0123-4567-89ab-cdef');
});

test('a join token is read as it was written, with the blanks of a paste around it', () => {
  const token = { hubId: 'a'.repeat(64), secret: 'B_-4'.repeat(10) + 'xyz' };
  expect(parseJoinToken(` ${formatJoinToken(token)}\n`)).toEqual(token);
});

test.each([
  '',
  'ocf1',
  `ocf2.${'a'.repeat(64)}.${'b'.repeat(43)}`,
  `ocf1.${'A'.repeat(64)}.${'b'.repeat(43)}`,
  `ocf1.${'a'.repeat(64)}.${'b'.repeat(42)}`,
  `ocf1.${'a'.repeat(64)}.${'b'.repeat(43)}=`,
  `ocf1.${'a'.repeat(64)}.${'b'.repeat(43)}\nocf1`,
])('%j is no join token, and the error does not repeat it', (text) => {
  expect(() => parseJoinToken(text)).toThrow(
    expect.objectContaining({ code: 'TOKEN_INVALID', message: 'this is not a join token' }),
  );
});

test.each([
  ['a join token', `join with ocf1.${'a'.repeat(64)}.SECRET-secret_SECRET-secret_SECRET-secret_SECR now`],
  ['a bearer', 'Authorization: Bearer SECRET.secret/SECRET= and more'],
  ['a setup link', 'open oc-pair://SECRETsecret?x=1 there'],
  ['a setup code', 'code eyJSECRETsecretSECRETsecretSECRET'],
  ['a private key', '-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----'],
  ['a private key that is cut', '-----BEGIN PRIVATE KEY-----\nSECRET\nSECR'],
])('%s is cut from what is printed', (_, text) => {
  expect(scrub(text)).not.toContain('SECR');
  expect(scrub(text)).toContain('[secret]');
});

const NODES = [
  { name: 'home-server', id: `aaaaaaa1${'0'.repeat(56)}` },
  { name: 'pi', id: `aaaaaaa2${'0'.repeat(56)}` },
  { name: 'aaaaaaa1', id: `b${'0'.repeat(63)}` },
  { name: 'twin', id: `c1${'0'.repeat(62)}` },
  { name: 'twin', id: `c2${'0'.repeat(62)}` },
];

test.each([
  ['home-server', 0],
  [NODES[0]!.id, 0],
  ['aaaaaaa2', 1],
  ['AAAAAAA2', 1],
  ['aaaa-aaa2', 1],
  ['b000', 2],
  ['B0-00', 2],
])('%s names one node', (word, at) => {
  expect(findNode(NODES, word)).toBe(NODES[at]);
});

// a name that is the beginning of another node's id hides it from nobody
test.each([['aaaa'], ['twin'], ['aaaaaaa1']])('%s names two, and is never guessed', (word) => {
  expect(() => findNode(NODES, word)).toThrow(
    expect.objectContaining({ code: 'NODE_AMBIGUOUS', message: expect.stringContaining('names 2 nodes') as string }),
  );
});

test.each([
  ['home-servr', /did you mean home-server/],
  ['home-srever', /did you mean home-server/],
  ['home-srevre', /list/],
  ['ip', /did you mean pi/],
  ['aaa', /list/],
  ['', /list/],
  ['*', /list/],
  ['__proto__', /list/],
])('%j names nobody', (word, hint) => {
  expect(() => findNode(NODES, word)).toThrow(
    expect.objectContaining({ code: 'NODE_NOT_FOUND', hint: expect.stringMatching(hint) as string }),
  );
});

test.each([
  ['aaa', '"aaa" is too short: of an id it takes 4 digits or more'],
  ['fff', 'no node is named "fff"'],
  ['', 'no node is named ""'],
])('%j is told apart from what is only too short', (word, message) => {
  expect(() => findNode(NODES, word)).toThrow(expect.objectContaining({ message }));
});

test.each(['1ce1-141b-ee5e-c039', '1ce1141bee5ec039', 'a'.repeat(63), 'abcdef-abcdef'])(
  '%s is no name, because it could be taken for another node’s fingerprint',
  (name) => {
    expect(isNodeName(name)).toBe(false);
  },
);

test.each(['facade', 'dead-beef', 'abc123', 'home-server'])('%s is a name, though some of it is hex', (name) => {
  expect(isNodeName(name)).toBe(true);
});

test('a line that only begins like a key does not hide the rest of a command', () => {
  expect(scrub('echo "-----BEGIN PRIVATE KEY-----" >/dev/null; id')).toContain('; id');
});
