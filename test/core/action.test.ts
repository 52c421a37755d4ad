import { expect, test } from 'vitest';
import type { Action } from '#src/core/action.ts';
import { actionQuestion, actionText } from '#src/core/action.ts';

const run = (command: object): Action => ({ kind: 'exec', command });
const laptop = [{ name: 'laptop', role: 'hybrid' }] as const;
const question = (action: Action) => actionQuestion(action, laptop);

test('the text of an action is the same however it was written down', () => {
  const text = '{"command":{"argv":["df","-h"],"env":{"A":"1","B":"2"}},"kind":"exec"}';
  expect(actionText(run({ argv: ['df', '-h'], env: { A: '1', B: '2' } }))).toBe(text);
  expect(actionText(run({ env: { B: '2', A: '1' }, cwd: undefined, argv: ['df', '-h'] }))).toBe(text);
  expect(actionText(run({ argv: ['df', '-h'], env: { A: '1', B: '2' }, timeoutMs: 5 }))).toBe(text);
  expect(actionText(run({ argv: ['df'] }))).toBe(actionText(run({ argv: ['df'], env: {} })));
  const args = { b: [{ d: 1, c: null }], a: 'é\n' };
  expect(actionText({ kind: 'tool', tool: 't', args })).toBe(
    String.raw`{"args":{"a":"é\n","b":[{"c":null,"d":1}]},"kind":"tool","tool":"t"}`,
  );
});

test('whatever makes it another deed makes it another text', () => {
  const actions: readonly Action[] = [
    run({ argv: ['a', 'b'] }),
    run({ argv: ['b', 'a'] }),
    run({ argv: ['a b'] }),
    run({ shell: 'a b' }),
    run({ argv: ['a', 'b'], cwd: '/' }),
    run({ argv: ['a', 'b'], cwd: '' }),
    run({ argv: ['a', 'b'], env: { A: '' } }),
    run({ argv: ['a', 'b'], env: { A: '1' } }),
    run({ argv: ['a', 'b\ud800'] }),
    run({ argv: ['a', 'b\ufffd'] }),
    run({ argv: ['/bin/sh', '-c', 'a b'] }),
    { kind: 'read', path: '/a' },
    { kind: 'read', path: '/a/' },
    { kind: 'write', path: '/a', sha256: '0', size: 1 },
    { kind: 'write', path: '/a', sha256: '0', size: 2 },
    { kind: 'write', path: '/a', sha256: '1', size: 1 },
    { kind: 'write', path: '/a', sha256: '0', size: 1, mode: 0o600 },
    { kind: 'tool', tool: 'a', args: {} },
    { kind: 'tool', tool: 'a', args: { x: null } },
    { kind: 'tool', tool: 'a', args: { x: [] } },
    { kind: 'tool', tool: 'b', args: {} },
  ];
  expect(new Set(actions.map(actionText)).size).toBe(actions.length);
});

test('a person is asked for all of it', () => {
  const all = [
    run({ argv: ['rm', '-rf', '/srv/old files'] }),
    run({ shell: 'df -h | tail -1', cwd: '/srv', env: { LD_PRELOAD: '/tmp/x.so' } }),
    { kind: 'read', path: '/etc/shadow' },
    { kind: 'write', path: '/srv/a b', sha256: 'ab'.repeat(32), size: 12, mode: 0o644 },
    { kind: 'tool', tool: 'browser', args: { url: 'http://x', n: 1 } },
  ] satisfies Action[];
  expect(all.map(question)).toMatchInlineSnapshot(`
    [
      "on laptop (hybrid): run: rm -rf '/srv/old files'",
      "on laptop (hybrid): run in /srv with LD_PRELOAD=/tmp/x.so: df -h | tail -1",
      "on laptop (hybrid): read the file /etc/shadow",
      "on laptop (hybrid): write 12 bytes to the file '/srv/a b' (sha256 abababababababababababababababababababababababababababababababab, mode 0644)",
      "on laptop (hybrid): use the tool browser with {"n":1,"url":"http://x"}",
    ]
  `);
  const nodes = [{ name: 'w1', role: 'worker' }, ...laptop, { name: 'hub', role: 'master' }] as const;
  expect(actionQuestion(run({ argv: ['df'] }), nodes)).toBe('on w1, laptop (hybrid), hub (master): run: df');
});

test.each([
  ['a line that looks like ours', 'ls\n\non w1: run: ls', 'ls⏎⏎on w1: run: ls'],
  ['a carriage return', 'rm -rf /\rls       ', 'rm -rf /<U+000D>ls       '],
  ['an escape sequence', 'rm\u001b[2K', 'rm<U+001B>[2K'],
  ['a text that is turned around', 'rm \u202eelif', 'rm <U+202E>elif'],
  ['a blank that is none', 'a\u00a0b\u3000c', 'a<U+00A0>b<U+3000>c'],
  ['a letter of no width', 'a\u200bb\u2060\ufeff\u{e0041}', 'a<U+200B>b<U+2060><U+FEFF><U+E0041>'],
  ['half a character', 'a\ud800', 'a<U+D800>'],
  ['a line end of another kind', 'a\u2028b\u0085', 'a<U+2028>b<U+0085>'],
  ['a letter that is only empty', 'a\u3164b\u2800', 'a<U+3164>b<U+2800>'],
  ['letters that turn what is beside them around', 'rm א 1 2 ب', 'rm <U+05D0> 1 2 <U+0628>'],
  ['a sign that stands for a line end', 'a # ⏎rm\nb', 'a # <U+23CE>rm⏎b'],
  ['a name of a character', 'a <U+202E> <U> <b>', 'a <U+003C>U+202E> <U> <b>'],
])('nothing hides in a question: %s', (_, shell, shown) => {
  expect(question(run({ shell }))).toBe(`on laptop (hybrid): run: ${shown}`);
});

test('what looks like a secret is shown: it could be anything', () => {
  const shell = 'x="-----BEGIN PRIVATE KEY-----\nrm /home/ann/thesis\n-----END PRIVATE KEY-----"';
  expect(question(run({ shell }))).toContain('rm /home/ann/thesis');
});

test('what is too long to be shown whole is not asked at all', () => {
  expect(question(run({ argv: ['echo', 'x'.repeat(2900)] }))).toContain('x'.repeat(2900));
  expect(question(run({ argv: ['echo', 'x'.repeat(3000)] }))).toBeNull();
  const many = Array.from({ length: 100 }, (_, at) => ({
    name: `node-${at}-${'x'.repeat(50)}`,
    role: 'hybrid' as const,
  }));
  expect(actionQuestion(run({ argv: ['df'] }), many)).toBeNull();
});
