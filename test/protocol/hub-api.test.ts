import { expect, test } from 'vitest';
import { jobCreateSchema } from '#src/protocol/hub-api/job.ts';
import { tokenCreateSchema } from '#src/protocol/hub-api/token.ts';
import { commandSchema, invocationSchema, MAX_COMMAND_BYTES } from '#src/protocol/worker-api.ts';

test.each<[string, object]>([
  ['an argv', { argv: ['echo', '', 'a b', '\u001b[2J', '-n'] }],
  ['a line for the shell', { shell: 'echo "$HOME" | wc -c' }],
  ['a folder, a variable and a time', { argv: ['x'], cwd: '/tmp', env: { _A1: '' }, timeoutMs: 1 }],
  ['a length just under the limit', { argv: ['x', 'y'.repeat(MAX_COMMAND_BYTES - 100)] }],
])('a command may be %s', (_, command) => {
  expect(commandSchema.safeParse(command).success).toBe(true);
});

test.each<[string, object]>([
  ['nothing', {}],
  ['an argv and a line', { argv: ['a'], shell: 'b' }],
  ['an empty argv', { argv: [] }],
  ['a program without a name', { argv: ['', 'x'] }],
  ['an empty line', { shell: '' }],
  ['a NUL in an argument', { argv: ['a\0b'] }],
  ['a NUL in the line', { shell: 'a\0b' }],
  ['a NUL in a variable', { argv: ['a'], env: { A: '\0' } }],
  ['a NUL in the folder', { argv: ['a'], cwd: '/\0' }],
  ['a variable whose name holds =', { argv: ['a'], env: { 'A=B': '1' } }],
  ['a variable without a name', { argv: ['a'], env: { '': '1' } }],
  ['a number for an argument', { argv: ['a', 1] }],
  ['no time at all', { argv: ['a'], timeoutMs: 0 }],
  ['a time that a timer cannot keep', { argv: ['a'], timeoutMs: 2 ** 31 }],
  ['a length over the limit', { argv: ['x', 'y'.repeat(MAX_COMMAND_BYTES)] }],
  ['many words of no length', { argv: Array.from({ length: 5000 }, () => 'x') }],
  ['a key that nobody knows', { argv: ['a'], user: 'root' }],
])('a command may not be %s', (_, command) => {
  expect(commandSchema.safeParse(command).success).toBe(false);
  expect(jobCreateSchema.safeParse({ kind: 'exec', targets: ['w1'], command }).success).toBe(false);
});

test.each<[string, unknown]>([
  ['none', []],
  ['an empty word', ['']],
  ['a word for a list', 'w1'],
  ['more than frames can number', Array.from({ length: 65_536 }, () => 'w1')],
  ['a word of 385 characters', ['x'.repeat(385)]],
])('the targets of a job may not be %s', (_, targets) => {
  expect(jobCreateSchema.safeParse({ kind: 'exec', targets, command: { argv: ['a'] } }).success).toBe(false);
});

test('an invocation that passes the hub passes the worker as it is', () => {
  const { command, stdin } = jobCreateSchema.parse({ kind: 'exec', targets: 'all', command: { argv: ['a'] } });
  const id = '0'.repeat(26);
  const sent = { id, job: id, asker: { kind: 'operator', name: 'ann' }, command, stdin, held: true };
  expect(invocationSchema.parse(JSON.parse(JSON.stringify(sent)))).toEqual(sent);
});

test('a token is for one worker and a quarter of an hour unless told otherwise, and never for ever', () => {
  expect(tokenCreateSchema.parse({})).toEqual({ role: 'worker', labels: {}, models: true, ttlSeconds: 900, uses: 1 });
  for (const wrong of [{ uses: 1001 }, { ttlSeconds: 30 * 86_400 + 1 }, { name: 'A' }, { labels: { 'a=b': '' } }]) {
    expect(tokenCreateSchema.safeParse(wrong).success).toBe(false);
  }
});
