import { expect, test } from 'vitest';
import { actionSchema } from '#src/protocol/action.ts';

const sha256 = 'a'.repeat(64);

test.each<[string, object]>([
  ['a command, with the limit that its job has', { kind: 'exec', command: { argv: ['df'], timeoutMs: 1 } }],
  ['the reading of a file', { kind: 'read', path: '/etc/os-release' }],
  ['the writing of a file', { kind: 'write', path: 'notes.md', sha256, size: 0, mode: 0o600 }],
  ['a tool', { kind: 'tool', tool: 'node:camera.snap', args: { facing: 'front', n: [1, { x: null }] } }],
])('an action may be %s', (_, action) => {
  expect(actionSchema.safeParse(action).error).toBeUndefined();
});

test.each<[string, unknown]>([
  ['one that nobody knows', { kind: 'reboot' }],
  ['a command that is none', { kind: 'exec', command: { argv: [] } }],
  ['a command as two', { kind: 'exec', command: { argv: ['a'], shell: 'b' } }],
  ['more than it says', { kind: 'read', path: '/a', mode: 1 }],
  ['a path with a NUL', { kind: 'read', path: '/a\0b' }],
  ['no path', { kind: 'read', path: '' }],
  ['a path that no system takes', { kind: 'read', path: '/'.repeat(4096) }],
  ['a path of two lines', { kind: 'read', path: '/a\nb' }],
  ['a content without its hash', { kind: 'write', path: '/a', size: 1 }],
  ['a hash that is none', { kind: 'write', path: '/a', size: 1, sha256: 'A'.repeat(64) }],
  ['a size that is none', { kind: 'write', path: '/a', size: -1, sha256 }],
  ['a file that runs as its owner', { kind: 'write', path: '/a', size: 1, sha256, mode: 0o4755 }],
  ['a tool without a name', { kind: 'tool', tool: '', args: {} }],
  ['a tool whose name is a line', { kind: 'tool', tool: 'a\nb', args: {} }],
  ['arguments that are a list', { kind: 'tool', tool: 'a', args: [] }],
  ['arguments over 256 KiB', { kind: 'tool', tool: 'a', args: { x: 'y'.repeat(256 * 1024) } }],
])('an action may not be %s', (_, action) => {
  expect(actionSchema.safeParse(action).success).toBe(false);
});

test('arguments that are nested as deep as a body is long are refused, and nothing falls over', () => {
  const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown;
  const issues = actionSchema.safeParse({ kind: 'tool', tool: 'a', args: { deep } }).error?.issues;
  expect(issues?.[0]?.message).toContain('64 deep');
});
