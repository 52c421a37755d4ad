import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { BY_RULES } from '#src/core/approval.ts';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import { createEnrolment } from '#src/hub/enrolment/enrolment.ts';
import { identifyByKey } from '#src/hub/enrolment/identity.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import { createTokens } from '#src/hub/enrolment/tokens.ts';
import { facts } from '../support/link.ts';
import { SILENT_LOG } from '../support/member.ts';

const PERSON = { by: 'me', replace: false };

let directory: string;
let store: Store;
let clock: number;
let membership: MembershipKeeper;
let enrolment: Enrolment;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-strangers-'));
  store = openSqliteStore(join(directory, 'hub.sqlite'));
  clock = Date.UTC(2026, 0, 1);
  membership = await openMembership({ store, log: SILENT_LOG, now: () => clock });
  const limits = { total: 1000, perSource: 1000 };
  enrolment = createEnrolment({ membership, limits, identify: identifyByKey, log: SILENT_LOG });
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const idOf = (key: number) => key.toString(16).padStart(64, '0');
const records = async () => store.audit(0, 10_000);
const secretOf = async (wanted: object = {}) =>
  parseJoinToken(
    (await createTokens(membership, 'f'.repeat(64)).create({ ttlSeconds: 900, uses: 1, ...wanted }, 'me')).token,
  ).secret;

/** Resolves with `waits` or `in`; rejects where it is refused. */
function knock(key: number, said: Partial<NodeFacts> = {}, secret: string | null = null): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const admitted = enrolment.admit({
    ...{ nodeId: idOf(key), publicKey: 'k'.repeat(43), facts: { ...facts(`n${key}`), ...said } },
    ...{ address: '100.64.0.1', secret, wait: () => resolve('waits'), signal: new AbortController().signal },
  });
  return Promise.race([admitted.then(() => 'in'), promise]);
}

test('nobody becomes the master by an approval, whoever gives it', async () => {
  await knock(1, { role: 'master' });
  const [asked] = enrolment.requests();
  expect(asked?.held).toContain('it calls itself the master');
  for (const replace of [false, true]) {
    await expect(enrolment.approve(idOf(1), { by: 'me', replace })).rejects.toMatchObject({
      code: 'HELD',
      hint: expect.stringContaining('token create --role master') as string,
    });
  }
  expect([...enrolment.members()]).toEqual([]);
  expect(await knock(2, { role: 'master' }, await secretOf({ role: 'master' }))).toBe('in');
  expect(enrolment.member(idOf(2))).toMatchObject({ role: 'master' });
});

test('a revocation reaches the node also where it takes another key at that moment', async () => {
  await knock(1, {}, await secretOf());
  const rotating = enrolment.rekey(idOf(1), { nodeId: idOf(2), publicKey: 'n'.repeat(43) });
  const revoked = await enrolment.revoke(idOf(1), 'me');
  await rotating;
  expect(revoked).toMatchObject({ id: idOf(2), revokedAt: clock });
  expect([...enrolment.members()].filter(({ revokedAt }) => revokedAt === null)).toEqual([]);
});

test('a node that takes one key after the other is refused, and keeps the one that it has', async () => {
  await knock(1, {}, await secretOf());
  const rotate = (from: number) =>
    enrolment.rekey(idOf(from), { nodeId: idOf(from + 1), publicKey: 'n'.repeat(43) }).then(
      () => 'ok',
      (error: unknown) => (error as { code: string }).code,
    );
  expect([await rotate(1), await rotate(2), await rotate(3), await rotate(4)]).toEqual(['ok', 'ok', 'ok', 'HELD']);
  expect(enrolment.member(idOf(4))).toMatchObject({ revokedAt: null });
  clock += 180_000;
  expect(await rotate(4)).toBe('ok');
});

test('a member that is granted more stays who it is, with the labels and groups that it has by now', async () => {
  await knock(1, { offers: ['exec'] });
  await enrolment.approve(idOf(1), { ...PERSON, labels: { env: 'prod' }, groups: ['prod'] });
  const [, admittedAt] = [await knock(1, { offers: ['exec', 'node-host'] }), clock];
  await membership.inTurn(async () => {
    const member = { ...enrolment.member(idOf(1))!, labels: {}, groups: [] };
    await membership.commit([{ type: 'changed', member }], []);
  });
  clock += 1000;
  await enrolment.judge(idOf(1), BY_RULES, () => ({
    ...{ act: 'approve', labels: { env: 'prod' }, groups: ['prod'], models: true, detail: null },
  }));
  expect(enrolment.member(idOf(1))).toMatchObject({
    ...{ granted: ['exec', 'node-host'], labels: {}, groups: [], approvedBy: 'me', approvedAt: admittedAt },
  });
});

test('what a node does by itself is recorded under no operator’s name', async () => {
  await knock(1, { name: 'root' }, await secretOf());
  await enrolment.rekey(idOf(1), { nodeId: idOf(2), publicKey: 'n'.repeat(43) });
  await knock(3, { name: BY_RULES });
  expect((await records()).slice(1).map(({ action, by }) => `${action} ${by}`)).toEqual([
    'node.join node:root',
    'node.rotate-key node:root',
    `node.ask node:${BY_RULES}`,
  ]);
});

test('keys that anybody can make fill no audit: past some a minute they are counted, a person’s word never is', async () => {
  const reject = (key: number, by: string) =>
    by === BY_RULES
      ? enrolment.judge(idOf(key), by, () => ({ act: 'reject', labels: {}, groups: [], models: false, detail: {} }))
      : enrolment.reject(idOf(key), by);
  for (let key = 0; key < 100; key += 1) {
    expect(await knock(key)).toBe('waits');
    await reject(key, BY_RULES);
  }
  expect(await records()).toHaveLength(30);
  await knock(100);
  await reject(100, 'me');
  expect((await records()).at(-1)).toMatchObject({ action: 'node.reject', by: 'me' });
  expect(await records()).toHaveLength(31);
  clock += 60_000;
  await knock(101);
  expect((await records()).slice(31)).toMatchObject([
    { action: 'node.unrecorded', by: 'hub', detail: { records: { 'node.ask': 86, 'node.reject': 85 } } },
    { action: 'node.ask', by: 'node:n101' },
  ]);
});
