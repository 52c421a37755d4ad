import { expect, test } from 'vitest';
import type { FileSettings } from '#src/core/file-policy.ts';
import { DENIED } from '#src/core/file-denials.ts';
import { absolutePath, denialsOf, isDenyPattern, judgePath, rootsOf, withHome } from '#src/core/file-policy.ts';

test.each([
  ['/etc/hosts', '/etc/hosts'],
  ['~/notes.txt', '/home/ann/notes.txt'],
  ['notes.txt', '/home/ann/notes.txt'],
  ['./a//b/../c', '/home/ann/a/c'],
  ['~/../bob/x', '/home/bob/x'],
  ['/../../etc/hosts', '/etc/hosts'],
  ['../../../../etc/hosts', '/etc/hosts'],
  ['/tmp/..a', '/tmp/..a'],
  ['~', '/home/ann'],
  ['/tmp/~/x', '/tmp/~/x'],
  ['C:\\windows', '/home/ann/C:\\windows'],
])('%j is %j', (path, absolute) => {
  expect(absolutePath(path, '/home/ann')).toBe(absolute);
});

test.each(['~bob/x', '~root', '/tmp/', '/', '.', '..', '/tmp/..', '/tmp/.', '', 'a/'])('%j is no file', (path) => {
  expect(() => absolutePath(path, '/home/ann')).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('a path is its bytes: what only looks the same is somewhere else', () => {
  const rules = { roots: ['/srv/café'], deny: [] };
  expect(judgePath(rules, '/srv/caf\u00e9/x').kind).toBe('allow');
  expect(judgePath(rules, '/srv/cafe\u0301/x').kind).toBe('deny');
  expect(judgePath(rules, '/srv/c\u0430fé/x').kind).toBe('deny');
  expect(judgePath(rules, '/srv\uff0fcafé/x').kind).toBe('deny');
  expect(judgePath(rules, '/SRV/café/x').kind).toBe('deny');
});

test.each([
  [['/srv'], '/srv/a', 'allow'],
  [['/srv/'], '/srv/a', 'allow'],
  [['/srv'], '/srv', 'deny'],
  [['/srv'], '/srvx/a', 'deny'],
  [['/srv'], '/sr', 'deny'],
  [['/'], '/srv/a', 'allow'],
  [[], '/srv/a', 'deny'],
])('below the roots %j, %s is: %s', (roots, path, kind) => {
  expect(judgePath({ roots, deny: [] }, path).kind).toBe(kind);
});

test.each([
  ['*.key', '/srv/id.key'],
  ['*.key', '/srv/.key'],
  ['*.key', '/srv/.id.key'],
  ['*.key', '/srv/keys.key/readme'],
  ['*.key', '/srv/ID.KEY'],
  ['.ssh', '/home/ann/.ssh/id'],
  ['.SSH', '/home/ann/.ssh/id'],
  ['/home/ann/.ssh', '/home/ann/.ssh'],
  ['/home/ann/.ssh', '/home/ann/.ssh/a/b'],
  ['/home/ann/.ssh/', '/home/ann/.ssh/a/b'],
  ['/home/ann/.openclaw*', '/home/ann/.openclaw/x'],
  ['/home/ann/.openclaw*', '/home/ann/.openclaw-worker/x'],
  ['/home/*/.env', '/home/ann/.env'],
  ['/**/secret', '/secret'],
  ['/**/secret', '/a/b/c/secret/d'],
  ['/home/**', '/home/ann/x'],
  ['/home/**/.env*', '/home/a/b/.env.local'],
  ['*a*b*c*', '/srv/xxaxxbxxcxx'],
  ['café.txt', '/srv/cafe\u0301.txt'],
  ['/', '/srv/a'],
])('%s denies %s', (pattern, path) => {
  expect(judgePath({ roots: ['/'], deny: [pattern] }, path)).toEqual({
    kind: 'deny',
    rule: `deny rule ${JSON.stringify(pattern)}`,
  });
});

test.each([
  ['*.key', '/srv/key'],
  ['*.key', '/srv/id.keys'],
  ['.ssh', '/home/ann/ssh'],
  ['/home/ann/.ssh', '/home/ann/.sshx'],
  ['/home/*/.env', '/home/ann/b/.env'],
  ['/**/secret', '/a/secrets'],
  ['/home/**/x', '/srv/x'],
  ['*ab*ab*', '/srv/xab'],
])('%s does not deny %s', (pattern, path) => {
  expect(judgePath({ roots: ['/'], deny: [pattern] }, path).kind).toBe('allow');
});

test('a pattern of many stars is decided at once for a path that nearly fits', () => {
  const deny = [`/${'**/'.repeat(50)}x`, '*a'.repeat(50) + 'b'];
  const path = `/${'a/'.repeat(1000)}${'a'.repeat(255)}`;
  expect(judgePath({ roots: ['/'], deny }, path).kind).toBe('allow');
});

test('without roots in the settings, only a node that runs anything opens folders', () => {
  const files: FileSettings = { read: { deny: [] }, write: { deny: [] }, maxBytes: 1 };
  expect(rootsOf(files, 'read', 'full')).toEqual(['~', '/tmp', '/var/log']);
  expect(rootsOf(files, 'write', 'full')).toEqual(['~', '/tmp']);
  for (const mode of ['allowlist', 'off'] as const) {
    expect([rootsOf(files, 'read', mode), rootsOf(files, 'write', mode)]).toEqual([[], []]);
  }
  expect(rootsOf({ ...files, read: { roots: ['/srv'], deny: [] } }, 'read', 'off')).toEqual(['/srv']);
  expect(rootsOf({ ...files, write: { roots: [], deny: [] } }, 'write', 'full')).toEqual([]);
});

test.each([
  ['~', '/home/ann'],
  ['~/.ssh', '/home/ann/.ssh'],
  ['~x', '~x'],
  ['*.key', '*.key'],
  ['/a/b', '/a/b'],
])('the root or pattern %s is %s', (text, meant) => {
  expect(withHome(text, '/home/ann')).toBe(meant);
});

const OPEN: FileSettings = { read: { roots: ['/'], deny: [] }, write: { roots: ['/'], deny: [] }, maxBytes: 1 };

function judged(files: FileSettings, access: 'read' | 'write', path: string): string {
  const deny = denialsOf(files, access).map((pattern) => withHome(pattern, '/home/ann'));
  return judgePath({ roots: ['/'], deny }, absolutePath(path, '/home/ann')).kind;
}

test.each([
  ...['~/.bashrc', '~/.bash_profile', '~/.profile', '~/.zshenv', '/home/bob/.bashrc', '~/.BASHRC'],
  ...['~/.config/systemd/user/x.service', '~/.config/autostart/x.desktop', '~/.config/fish/config.fish'],
  ...['~/.local/bin/git', '~/bin/git', '~/.gitconfig', '~/src/.git/hooks/pre-commit', '~/.vimrc'],
  ...['~/.ssh/authorized_keys', '/srv/authorized_keys', '~/.openclaw/openclaw.json', '/root/.ssh/rc'],
  ...['/etc/cron.d/x', '/var/spool/cron/crontabs/ann', '/etc/ld.so.preload', '/etc/sudoers.d/x', '/usr/local/bin/x'],
])('nobody writes %s without its owner having opened that: it would be a command', (path) => {
  expect(judged(OPEN, 'write', path)).toBe('deny');
});

test.each([
  ...['~/.ssh/id', '/home/bob/.ssh/id', '~/.openclaw/openclaw.json', '~/.docker/config.json', '~/.npmrc', '~/.pypirc'],
  ...[
    '~/.config/gh/hosts.yml',
    '~/.config/gcloud/x',
    '~/.password-store/x',
    '~/.bash_history',
    '~/app/.env',
    '/etc/shadow',
  ],
])('nobody reads %s without its owner having opened that', (path) => {
  expect(judged(OPEN, 'read', path)).toBe('deny');
});

test.each(['~/notes.txt', '~/src/main.c', '/srv/x', '/tmp/x', '~/.config/foot/foot.ini', '/etc/nginx/nginx.conf'])(
  '%s is as open as its folder',
  (path) => {
    expect([judged(OPEN, 'read', path), judged(OPEN, 'write', path)]).toEqual(['allow', 'allow']);
  },
);

test('a list of one’s own comes on top of what is denied anyhow, and what is lifted is named', () => {
  const files: FileSettings = { ...OPEN, read: { roots: ['/'], deny: ['~/private'], lift: ['.env'] } };
  const kinds = ['~/private/x', '~/.ssh/id', '~/.env', '~/.env.local'].map((path) => judged(files, 'read', path));
  expect(kinds).toEqual(['deny', 'deny', 'allow', 'deny']);
  expect(judged({ ...files, read: { ...files.read, deny: ['.env'] } }, 'read', '~/.env')).toBe('deny');
});

test('all that is denied anyhow is a pattern', () => {
  expect(DENIED.write.filter((pattern) => !isDenyPattern(pattern))).toEqual([]);
});
