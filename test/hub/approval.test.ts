import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { ExplanationView, Judgement } from '#src/protocol/hub-api/judgement.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeTailscaled } from '../support/fake-tailscaled.ts';
import { fakeTailscaled, running } from '../support/fake-tailscaled.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { open } from '../support/http.ts';
import { newKey } from '../support/link.ts';

const SERVER = '127.0.77.5';
const LAPTOP = '127.0.77.6';
const BY_TAG = `
rules:
  - { name: own servers, when: { tag: 'tag:server', role: worker }, then: approve, labels: { place: home } }
  - { name: guests, when: { user: guest@example.com }, then: reject }
`;

let tailscaled: FakeTailscaled;
let federation: Federation;

beforeEach(async () => {
  tailscaled = await fakeTailscaled(running(['127.0.77.1']));
  tailscaled.identities.set(SERVER, identity('nServer', 'pi.tail.lab.', { tags: ['tag:server'] }));
  tailscaled.identities.set(LAPTOP, identity('nLaptop', 'laptop.tail.lab.', { user: 'guest@example.com' }));
  federation = await startFederation({ hub: { hub: { tailnet: true }, tailscale: { socket: tailscaled.socket } } });
});

afterEach(async () => {
  await federation[Symbol.asyncDispose]();
  await tailscaled[Symbol.asyncDispose]();
});

function identity(id: string, name: string, { user, tags }: { user?: string; tags?: readonly string[] }) {
  return {
    Node: { StableID: id, Name: name, Tags: tags ?? null },
    UserProfile: { LoginName: user ?? 'tagged-devices' },
  };
}

const policyPath = () => join(federation.home('master'), 'approval-policy.yaml');

async function untilPolicy(state: Status['policy']['state'], rules: number): Promise<Status['policy']> {
  return eventually(`the policy is ${state} with ${rules} rules`, async () => {
    const { policy } = await federation.get<Status>('/status');
    return policy.state === state && policy.rules === rules ? policy : null;
  });
}

async function usePolicy(text: string, rules: number): Promise<void> {
  await writeFile(policyPath(), text);
  await untilPolicy('loaded', rules);
}

/** A worker that waits for approval, from this address. */
async function asks(name: string, from = '127.0.0.1', token: string | null = null): Promise<PairingRequestView> {
  await federation.start(name, { token, from });
  return eventually(`${name} waits`, async () => (await federation.pending()).find((one) => one.name === name));
}

const judged = (word: string, options: object = {}): Promise<Judgement> =>
  federation.post(`/pairing-requests/${word}/judge`, options);

async function audited(action: string): Promise<AuditView[]> {
  return (await federation.get<AuditView[]>('/audit?limit=1000')).filter((record) => record.action === action);
}

describe('the machine behind a request', () => {
  test('is asked of the tailnet and shown with the request', async () => {
    expect((await asks('pi', SERVER)).tailnet).toEqual({
      stableId: 'nServer',
      name: 'pi.tail.lab',
      user: null,
      tags: ['tag:server'],
    });
    expect((await asks('laptop', LAPTOP)).tailnet).toMatchObject({ user: 'guest@example.com', tags: [] });
  });

  test('is nobody where the tailnet does not know the address, or this machine asks', async () => {
    expect((await asks('unknown', '127.0.77.9')).tailnet).toBeNull();
    tailscaled.identities.set('127.0.0.1', identity('nHere', 'here.tail.lab.', { tags: ['tag:server'] }));
    expect((await asks('here')).tailnet).toBeNull();
  });

  test('is asked again where tailscaled does not answer, and no rule decides before it is known', async () => {
    await usePolicy('rules: [{ name: pis, when: { token: pi }, then: approve }]\n', 1);
    const { answer } = tailscaled;
    tailscaled.answer = () => undefined;
    const token = await federation.token({ rules: 'pi' });
    const asking = await asks('pi', SERVER, token);
    expect(asking).toMatchObject({ tailnet: null, held: 'the tailnet can’t say which machine it is' });
    expect(await judged('pi')).toMatchObject({ verdict: 'hold', done: 'nothing' });
    tailscaled.answer = answer;
    const known = await eventually(
      'it is known',
      async () => (await federation.pending()).find(({ tailnet }) => tailnet !== null),
      20_000,
    );
    expect(known).toMatchObject({ held: null, tailnet: { stableId: 'nServer' } });
    expect(await judged('pi')).toMatchObject({ rule: 'pis', done: 'approved' });
  });

  test('is nobody where tailscaled does not answer, and the bearer of a token is let in all the same', async () => {
    tailscaled.answer = () => undefined;
    await federation.start('pi', { token: await federation.token({}), from: SERVER });
    await federation.untilOnline('pi');
    expect(await federation.show('pi')).toMatchObject({ tailnet: null });
  });

  test('holds a request back when it is another than before, whatever the rules say', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('pi', SERVER);
    tailscaled.identities.set(SERVER, identity('nOther', 'other.tail.lab.', { tags: ['tag:server'] }));
    await federation.stop('pi');
    await federation.start('pi', { token: null });
    const { held } = await eventually('it asks from elsewhere', async () =>
      (await federation.pending()).find(({ tailnet }) => tailnet?.stableId === 'nOther'),
    );
    expect(held).toBe('it asked from the machine nServer first, and now asks from nOther');
    expect(await judged('pi')).toMatchObject({ verdict: 'hold', done: 'nothing' });
  });
});

describe('the rules', () => {
  test('let a node in by its tag, with the labels of the rule, and the audit says why', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('pi', SERVER);
    expect(await judged('pi')).toMatchObject({ verdict: 'approve', rule: 'own servers', done: 'approved' });
    await federation.untilOnline('pi');
    expect(await federation.show('pi')).toMatchObject({ labels: { place: 'home' }, approvedBy: 'auto-register' });
    const records = await audited('node.approve');
    expect(records).toMatchObject([
      {
        by: 'auto-register',
        detail: {
          node: 'pi',
          rule: 'own servers',
          verdict: 'approve',
          reason: 'rule own servers approves it: its tailnet tag is tag:server; its role is worker',
          kind: 'join',
          tailnet: { stableId: 'nServer' },
        },
      },
    ]);
  });

  test('let in by the name of a join token, which lets nobody in by itself', async () => {
    await usePolicy(
      'rules: [{ name: pis, when: { token: pi }, then: approve, labels: { at: home }, groups: [pis] }]\n',
      1,
    );
    const token = await federation.token({ rules: 'pi', uses: 1 });
    const asking = await asks('pi-1', '127.0.77.9', token);
    expect(asking).toMatchObject({ token: 'pi', held: null });
    expect(await judged('pi-1')).toMatchObject({
      ...{ rule: 'pis', done: 'approved', reason: 'rule pis approves it: it brought the join token pi' },
    });
    await federation.untilOnline('pi-1');
    expect(await federation.show('pi-1')).toMatchObject({ labels: { at: 'home' }, groups: ['pis'] });
    await using late = bareNode(federation.hub, { name: 'pi-2', token });
    expect(await late.refusal()).toBe('TOKEN_INVALID');
  });

  test('match no token of another name', async () => {
    await usePolicy('rules: [{ name: pis, when: { token: pi }, then: approve }]\n', 1);
    await asks('nas', '127.0.77.9', await federation.token({ rules: 'nas' }));
    expect(await judged('nas')).toMatchObject({ verdict: 'hold', rule: null, done: 'nothing' });
    const { lines } = await federation.get<{ lines: string[] }>('/pairing-requests/nas/explanation');
    expect(lines.at(-1)).toBe('   no   token pi: it brought the join token nas');
  });

  test('know the version of the OpenClaw of a node', async () => {
    await usePolicy("rules: [{ name: new, when: { tag: 'tag:server', openclaw: '>=2026.9' }, then: approve }]\n", 1);
    await using node = bareNode(federation.hub, { name: 'nas', offers: ['exec'], openclaw: '2026.9.6' });
    await node.waiting();
    const { lines } = await federation.get<{ lines: string[] }>('/pairing-requests/nas/explanation');
    expect(lines.at(-1)).toBe('   yes  openclaw >=2026.9: its OpenClaw is 2026.9.6');
  });

  test('reject a node, once', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('laptop', LAPTOP);
    expect(await judged('laptop')).toMatchObject({ verdict: 'reject', rule: 'guests', done: 'rejected' });
    expect(await federation.pending()).toMatchObject([{ name: 'laptop', rejected: true }]);
    expect(await judged('laptop')).toMatchObject({ verdict: 'reject', done: 'nothing' });
    expect(await audited('node.reject')).toHaveLength(1);
  });

  test('hold a node that none of them matches, which is recorded once however often it is judged', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('other', '127.0.77.9');
    for (const _ of [1, 2, 3]) expect(await judged('other')).toMatchObject({ verdict: 'hold', done: 'nothing' });
    expect(await audited('node.judge')).toMatchObject([{ by: 'auto-register', detail: { node: 'other', rule: null } }]);
  });

  test('never take a node back that was revoked while it asked for more', async () => {
    await writeFile(policyPath(), 'rules: [{ name: mine, when: { address: 127.0.0.0/8 }, then: approve }]\n');
    await untilPolicy('broken', 0);
    const key = newKey();
    const token = await federation.token({});
    const { hub } = federation;
    await using member = bareNode(hub, { name: 'pi', key, offers: ['exec'], token });
    await member.welcome();
    await member.stop();
    await using wanting = bareNode(hub, { name: 'pi', key, offers: ['exec', 'node-host'] });
    await wanting.welcome();
    const [request] = await federation.pending();
    await federation.post('/nodes/pi/revoke');
    await expect(judged(request!.id, { approveEverything: true })).rejects.toMatchObject({ code: 'REQUEST_NOT_FOUND' });
    expect((await federation.show(request!.id)).state).toBe('revoked');
  });

  test('change nothing in a dry run, nor where their mode is warn', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('pi', SERVER);
    expect(await judged('pi', { dryRun: true })).toMatchObject({ verdict: 'approve', enforced: true, done: 'nothing' });
    expect([await audited('node.judge'), await audited('node.approve')]).toEqual([[], []]);
    await writeFile(policyPath(), `mode: warn${BY_TAG}`);
    await eventually('the mode is warn', async () => (await federation.get<Status>('/status')).policy.mode === 'warn');
    expect(await judged('pi')).toMatchObject({ verdict: 'approve', enforced: false, done: 'nothing' });
    expect(await audited('node.judge')).toMatchObject([{ detail: { verdict: 'approve', enforced: false } }]);
    expect(await federation.pending()).toMatchObject([{ name: 'pi', rejected: false }]);
  });

  test('are explained with each condition and the fact behind it', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('pi', SERVER);
    const { lines, ...fields } = await federation.get<ExplanationView>('/pairing-requests/pi/explanation');
    const role = { condition: 'role', wanted: ['worker'], holds: true, why: 'its role is worker' };
    const tag = { condition: 'tag', wanted: ['tag:server'], holds: true, why: 'its tailnet tag is tag:server' };
    expect(fields).toEqual({
      ...{ verdict: 'approve', rule: 'own servers', enforced: true, problem: null },
      reason: 'rule own servers approves it: its tailnet tag is tag:server; its role is worker',
      rules: [
        {
          ...{ rule: 'own servers', verdict: 'approve', matches: true, decides: true, expired: null },
          conditions: [tag, role],
        },
        expect.objectContaining({ rule: 'guests', verdict: 'reject', matches: false, decides: false }),
      ],
    });
    expect(lines.slice(1)).toEqual([
      'approve: rule own servers approves it: its tailnet tag is tag:server; its role is worker',
      '1. own servers (approve): decides',
      '   yes  tag tag:server: its tailnet tag is tag:server',
      '   yes  role worker: its role is worker',
      '2. guests (reject): does not match',
      '   no   user guest@example.com: it belongs to no user of the tailnet',
    ]);
    await writeFile(policyPath(), 'rules: [');
    await untilPolicy('broken', 2);
    const broken = await federation.get<{ lines: string[] }>('/pairing-requests/pi/explanation');
    expect(broken.lines[0]).toContain('the rules file can’t be used');
  });

  test('let in no more nodes in an hour than they say, also when all ask at once and the hub was restarted', async () => {
    await usePolicy(`maxPerHour: 2${BY_TAG}`, 2);
    for (const [at, name] of ['p1', 'p2', 'p3', 'p4'].entries()) {
      const from = `127.0.78.${at + 1}`;
      tailscaled.identities.set(from, identity(`n${name}`, `${name}.tail.lab.`, { tags: ['tag:server'] }));
      await asks(name, from);
    }
    const first = await Promise.all(['p1', 'p2', 'p3'].map((name) => judged(name)));
    expect(first.map(({ done }) => done).toSorted()).toEqual(['approved', 'approved', 'nothing']);
    expect(first.find(({ done }) => done === 'nothing')).toMatchObject({
      verdict: 'hold',
      rule: 'own servers',
      retryAt: expect.stringMatching(/^\d{4}-/),
    });
    await federation.restartHub();
    expect(await judged('p4')).toMatchObject({ verdict: 'hold', retryAt: expect.any(String) });
  });

  test('that approve everybody are refused unless that is said in full', async () => {
    await writeFile(policyPath(), 'rules: [{ name: all, when: { address: 127.0.0.0/8 }, then: approve }]\n');
    const { problem } = await untilPolicy('broken', 0);
    expect(problem).toContain('would approve everybody');
    await asks('w1');
    expect(await judged('w1')).toMatchObject({ verdict: 'hold', done: 'nothing' });
    expect(await judged('w1', { approveEverything: true })).toMatchObject({ rule: 'all', done: 'approved' });
  });
});

describe('the rules file', () => {
  test('is followed as it comes, changes in place or by another file, and goes', async () => {
    await untilPolicy('none', 0);
    await usePolicy(BY_TAG, 2);
    await writeFile(policyPath(), 'rules: []\n');
    await untilPolicy('loaded', 0);
    await writeFile(`${policyPath()}.swp`, BY_TAG);
    await rename(`${policyPath()}.swp`, policyPath());
    await untilPolicy('loaded', 2);
    await rm(policyPath());
    expect(await untilPolicy('none', 0)).toEqual({
      ...{ state: 'none', mode: null, rules: 0, problem: null },
      everybody: { rules: 0, problem: null },
    });
  });

  test('that is broken keeps the rules from before in use, and says what is wrong with it', async () => {
    await usePolicy(BY_TAG, 2);
    await asks('pi', SERVER);
    await writeFile(policyPath(), 'rules: [{ name: x, when: { tagg: y }, then: approve }]\n');
    const problem = expect.stringMatching(/^rules\.0\.when\.tagg: unknown key \(in rule x\)/);
    expect(await untilPolicy('broken', 2)).toEqual({
      ...{ state: 'broken', mode: 'enforce', rules: 2, problem },
      everybody: { rules: 2, problem },
    });
    expect(federation.logs.join('\n')).toContain('rules.0.when.tagg: unknown key');
    expect(await judged('pi')).toMatchObject({ rule: 'own servers', done: 'approved' });
  });

  test('is used by a hub that starts with it', async () => {
    await usePolicy(BY_TAG, 2);
    await federation.restartHub();
    expect((await federation.get<Status>('/status')).policy).toMatchObject({ state: 'loaded', rules: 2 });
  });
});

test('the stream of events tells of a request, of one that changed and of new rules, and ends with the hub', async () => {
  const stream = await open({ socketPath: federation.hub.operator, path: '/api/v1/events' });
  onTestFinished(() => void stream.destroy());
  let text = '';
  let isOver = false;
  stream.setEncoding('utf8');
  stream.on('data', (part: string) => (text += part));
  stream.on('end', () => (isOver = true));
  const events = () =>
    text.split('\n\n').flatMap((block) => {
      const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(block) ?? [];
      return data === undefined ? [] : [{ name, data: JSON.parse(data) as unknown }];
    });
  expect(stream.headers['content-type']).toBe('text/event-stream');
  await eventually('it begins', () => text.startsWith(': '));
  await asks('pi', SERVER);
  await eventually('the request', () => events().length === 1);
  expect(events()[0]).toMatchObject({
    name: 'pairing-request',
    data: { name: 'pi', tailnet: { stableId: 'nServer' } },
  });
  await usePolicy(BY_TAG, 2);
  await eventually('the rules', () => events().length === 2);
  expect(events()[1]).toMatchObject({ name: 'policy', data: { state: 'loaded', rules: 2 } });
  await federation.post('/pairing-requests/pi/reject');
  await eventually('the change', () => events().length === 3);
  expect(events()[2]).toMatchObject({ name: 'pairing-request', data: { name: 'pi', rejected: true } });
  await federation.stopHub();
  await eventually('its end', () => isOver);
});
