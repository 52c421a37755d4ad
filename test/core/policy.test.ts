import { expect, test } from 'vitest';
import { ROLES } from '#src/core/node.ts';
import type { Asker, ExecSettings } from '#src/core/policy.ts';
import { askerText, consent, judgeCommand } from '#src/core/policy.ts';

const operator: Asker = { kind: 'operator', name: 'ann' };
const owner: Asker = { kind: 'chat', channel: 'telegram', sender: '1', owner: true };
const guest: Asker = { kind: 'chat', channel: 'telegram', sender: '2', owner: false };
const node: Asker = { kind: 'node', id: 'a'.repeat(64) };

test('before anyone writes a policy, this is who may run what where', () => {
  const table = [operator, owner, guest, node].map((asker) =>
    [askerText(asker).slice(0, 12), ...ROLES.map((role) => `${role}: ${consent(asker, role).kind}`)].join('  '),
  );
  expect(table).toEqual([
    'ann  master: allow  worker: allow  hybrid: allow',
    'telegram:1  master: approval  worker: allow  hybrid: approval',
    'telegram:2  master: deny  worker: deny  hybrid: deny',
    'aaaaaaaaaaaa  master: deny  worker: deny  hybrid: deny',
  ]);
});

const settings = (changed: Partial<ExecSettings>): ExecSettings => ({ mode: 'full', allow: [], deny: [], ...changed });

test.each<[string, Partial<ExecSettings>, readonly string[], 'allow' | 'deny']>([
  ['full lets all run', {}, ['rm', '-rf', '/'], 'allow'],
  ['off lets nothing run', { mode: 'off', allow: [['**']] }, ['true'], 'deny'],
  ['an empty allow-list allows nothing', { mode: 'allowlist' }, ['true'], 'deny'],
  ['a literal is that word', { mode: 'allowlist', allow: [['df', '-h']] }, ['df', '-h'], 'allow'],
  ['fewer words are another command', { mode: 'allowlist', allow: [['df', '-h']] }, ['df'], 'deny'],
  ['more words are another command', { mode: 'allowlist', allow: [['df', '-h']] }, ['df', '-h', '/'], 'deny'],
  ['case counts', { mode: 'allowlist', allow: [['df']] }, ['DF'], 'deny'],
  ['a path is not its last part', { mode: 'allowlist', allow: [['df']] }, ['/tmp/df'], 'deny'],
  ['* is any one word', { mode: 'allowlist', allow: [['df', '*']] }, ['df', '/'], 'allow'],
  ['* is not none', { mode: 'allowlist', allow: [['df', '*']] }, ['df'], 'deny'],
  ['* is not two', { mode: 'allowlist', allow: [['df', '*']] }, ['df', 'a', 'b'], 'deny'],
  ['* is no part of a word', { mode: 'allowlist', allow: [['df*']] }, ['dfx'], 'deny'],
  ['** at the end is any rest', { mode: 'allowlist', allow: [['git', '**']] }, ['git', 'a', 'b'], 'allow'],
  ['** at the end is no rest, too', { mode: 'allowlist', allow: [['git', '**']] }, ['git'], 'allow'],
  ['** elsewhere is a literal', { mode: 'allowlist', allow: [['**', 'x']] }, ['git', 'x'], 'deny'],
  ['** alone is all', { mode: 'allowlist', allow: [['**']] }, ['anything', 'at all'], 'allow'],
  ['deny wins over full', { deny: [['rm', '**']] }, ['rm', '-rf', '/'], 'deny'],
  ['deny wins over allow', { mode: 'allowlist', allow: [['**']], deny: [['rm', '**']] }, ['rm'], 'deny'],
  ['deny is for what it says alone', { deny: [['rm', '**']] }, ['/bin/rm'], 'allow'],
  ['an argument is no place to hide', { mode: 'allowlist', allow: [['echo', '*']] }, ['echo', '*', ';rm'], 'deny'],
])('%s', (_, changed, argv, kind) => {
  expect(judgeCommand(settings(changed), { argv, env: {} }).kind).toBe(kind);
});

test('an allow-list takes no environment from afar, and full does', () => {
  const command = { argv: ['df'], env: { LD_PRELOAD: '/tmp/x.so' } };
  expect(judgeCommand(settings({ mode: 'allowlist', allow: [['df']] }), command).kind).toBe('deny');
  expect(judgeCommand(settings({}), command).kind).toBe('allow');
});
