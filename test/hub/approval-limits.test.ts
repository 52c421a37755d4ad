import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { createLog } from '#src/adapters/log.ts';
import type { PolicyText } from '#src/adapters/policy-file.ts';
import type { AuditRecord } from '#src/core/audit.ts';
import type { WaitingRequest } from '#src/core/request.ts';
import { openApprovals } from '#src/hub/enrolment/approval.ts';
import type { Rule } from '#src/hub/enrolment/requests.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const EVIL = 'Ann’s \u001b]0;x\u0007\u202ephone';
const TAILNET = { stableId: 'n1', name: 'mac.tail.ts.net', user: null, tags: ['tag:mac'] };
const POLICY: unknown = parse(
  'maxPerHour: 1\nrules: [{ name: macs, when: { tag: tag:mac, role: node-host, commands: camera.snap }, then: approve }]',
);

const device = (keyId: string, changed: Partial<WaitingRequest> = {}): WaitingRequest => ({
  ...{
    kind: 'device',
    id: `d-${keyId}`,
    keyId,
    name: EVIL,
    role: 'node-host',
    address: '100.64.0.9',
    tailnet: TAILNET,
    isIdentified: true,
  },
  ...{ version: null, openclawVersion: null, platform: 'darwin', arch: null, offers: [], commands: null, token: null },
  ...{ rejected: false, firstAskedAt: NOW, lastAskedAt: NOW, expiresAt: NOW + 300_000 },
  ...changed,
});
const surface = (keyId: string, ...commands: string[]) =>
  device(keyId, { kind: 'surface', id: `s-${keyId}`, commands });

async function* policies(): AsyncGenerator<PolicyText> {
  yield { state: 'read', value: POLICY };
}

/** The rules over requests that somebody keeps, who says to the audit what they are told to. */
async function rules(...waiting: readonly WaitingRequest[]) {
  const audit: AuditRecord[] = [];
  const logs: string[] = [];
  let problem: Error | null = null;
  const all = waiting.map((request) => ({ request, held: null }));
  const find = (word: string) => all.find(({ request }) => request.id === word)!;

  async function judge(word: string, by: string, rule: Rule): Promise<void> {
    const { act, detail } = rule(find(word));
    if (problem !== null) throw problem;
    if (detail === null) return;
    const action = act === 'nothing' ? 'node.judge' : `node.${act}`;
    audit.push({ seq: audit.length + 1, at: NOW, action, by, detail, previous: '', hash: '' });
  }

  const open = () =>
    openApprovals({
      store: {
        audit: async (after, limit) => audit.slice(after, after + limit),
        auditHead: async () => ({ seq: audit.length, hash: '' }),
      },
      requests: { list: () => all, find, judge },
      policies: policies(),
      log: createLog({ level: 'info', module: 'hub', write: (line) => void logs.push(line) }),
      now: () => NOW,
    });
  let approvals = await open();
  return {
    ask: (id: string) => approvals.judge(id, { dryRun: false, approveEverything: false }),
    restart: async () => void (approvals = await open()),
    fail: (error: Error | null) => void (problem = error),
    audit,
    logs,
  };
}

test('a device and its commands are one of the limit, also after a restart', async () => {
  const { ask, restart, audit } = await rules(device('aa'), surface('aa', 'camera.snap'), device('bb'));
  expect(await ask('d-aa')).toMatchObject({ done: 'approved' });
  expect(await ask('d-bb')).toMatchObject({ verdict: 'hold', rule: 'macs', done: 'nothing' });
  await restart();
  expect(await ask('s-aa')).toMatchObject({ done: 'approved' });
  await restart();
  expect(await ask('d-bb')).toMatchObject({ verdict: 'hold', retryAt: new Date(NOW + 3600_000).toISOString() });
  expect(audit.map(({ action, detail }) => [action, detail.kind, detail.id])).toEqual([
    ['node.approve', 'device', 'aa'],
    ['node.judge', 'device', 'bb'],
    ['node.approve', 'surface', 'aa'],
    ['node.judge', 'device', 'bb'],
  ]);
});

test('commands beyond the ceiling are held, whose device was let in by it', async () => {
  const { ask } = await rules(device('aa'), surface('aa', 'camera.snap', 'system.run'));
  expect((await ask('d-aa')).reason).toContain('its commands are judged when it offers them');
  expect(await ask('s-aa')).toMatchObject({ verdict: 'hold', rule: null, reason: 'no rule matches it' });
});

test('an approval that failed takes nothing of the limit, and is recorded when it succeeds', async () => {
  const { ask, fail, audit } = await rules(device('aa'), device('bb'));
  fail(new Error('the gateway is away'));
  await expect(ask('d-aa')).rejects.toThrow('the gateway is away');
  fail(null);
  expect(await ask('d-aa')).toMatchObject({ done: 'approved' });
  expect(audit).toMatchObject([{ action: 'node.approve', detail: { rule: 'macs', kind: 'device', id: 'aa' } }]);
});

test('what a device calls itself is harmless in the log', async () => {
  const { ask, logs } = await rules(device('aa'));
  await ask('d-aa');
  const [line = ''] = logs.filter((text) => text.includes('the rules decided'));
  expect(JSON.parse(line)).toMatchObject({ kind: 'device', node: 'Ann\\u2019s \\u001b]0;x\\u0007\\u202ephone' });
});

test('what is judged again and again is recorded once, until something is another', async () => {
  const { ask, restart, audit } = await rules(surface('aa', 'system.run'));
  for (const _ of [1, 2, 3]) await ask('s-aa');
  expect(audit).toHaveLength(1);
  await restart();
  await ask('s-aa');
  expect(audit).toHaveLength(2);
});
