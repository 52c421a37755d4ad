import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { PendingLimits } from '#src/core/pairing.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import { createEnrolment } from '#src/hub/enrolment/enrolment.ts';
import { identifyByKey } from '#src/hub/enrolment/identity.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import type { Requests, Rule } from '#src/hub/enrolment/requests.ts';
import { createRequests } from '#src/hub/enrolment/requests.ts';
import type { Tokens } from '#src/hub/enrolment/tokens.ts';
import { createTokens } from '#src/hub/enrolment/tokens.ts';
import type { Applicant } from '#src/link/accept.ts';
import { SILENT_LOG } from '../support/member.ts';
import { facts } from '../support/link.ts';

const DAY_MS = 24 * 3600_000;
const HUB_ID = 'f'.repeat(64);

let directory: string;
let store: Store;
let clock: number;
let keeper: MembershipKeeper;
let enrolment: Enrolment;
let requests: Requests;
let tokens: Tokens;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-enrolment-'));
  store = openSqliteStore(join(directory, 'hub.sqlite'));
  clock = Date.UTC(2026, 0, 1);
  await open();
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

async function open(limits: PendingLimits = { total: 5, perSource: 2 }): Promise<void> {
  keeper = await openMembership({ store, log: SILENT_LOG, now: () => clock });
  enrolment = createEnrolment({ membership: keeper, limits, identify: identifyByKey, log: SILENT_LOG });
  requests = createRequests({ sources: [enrolment], readmit: enrolment.readmit });
  tokens = createTokens(keeper, HUB_ID);
}

interface Line extends Applicant {
  readonly held: readonly (string | null)[];
  hangUp(): void;
}

/** A node that has proved the key with this number. */
function applicant(key: number, options: { name?: string; secret?: string; address?: string } = {}): Line {
  const { name = `n${key}`, secret = null, address = `100.64.0.${key}` } = options;
  const line = new AbortController();
  const held: (string | null)[] = [];
  return {
    nodeId: key.toString(16).padStart(64, '0'),
    publicKey: 'k'.repeat(43),
    facts: facts(name),
    address,
    secret,
    held,
    wait: (why) => void held.push(why),
    signal: line.signal,
    hangUp: () => line.abort(),
  };
}

interface Asked {
  readonly judged: Promise<unknown>;
}

/** Asks, and resolves as soon as the node is told to wait. */
async function asks(line: Line): Promise<Asked> {
  const judged = enrolment.admit(line);
  const told = line.held.length + 1;
  const ended = judged.then(
    () => true,
    () => true,
  );
  while (line.held.length < told && !(await Promise.race([ended, new Promise((next) => setImmediate(next, false))])));
  return { judged };
}

async function secretOf(wanted: Parameters<Tokens['create']>[0] = {}): Promise<string> {
  const { hubId, secret } = parseJoinToken((await tokens.create(wanted, 'me')).token);
  expect(hubId).toBe(HUB_ID);
  return secret;
}

/** Codes of those that were refused, and how many were let in. */
async function tally(judged: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of await Promise.allSettled(judged)) {
    const word = result.status === 'fulfilled' ? 'in' : (result.reason as { code: string }).code;
    counts[word] = (counts[word] ?? 0) + 1;
  }
  return counts;
}

test.each([
  [1, { in: 1, TOKEN_INVALID: 199 }],
  [150, { in: 150, TOKEN_INVALID: 50 }],
])('of 200 nodes that race for a token with %i uses, that many win', async (uses, expected) => {
  const secret = await secretOf({ uses });
  const judged = Array.from({ length: 200 }, (_, key) => enrolment.admit(applicant(key, { secret })));
  expect(await tally(judged)).toEqual(expected);
  expect([...enrolment.members()]).toHaveLength(uses);
  expect((await store.membership()).tokens).toEqual([]);
});

test('200 nodes that race under one name with one token each end as one', async () => {
  const secrets = await Promise.all(Array.from({ length: 200 }, () => secretOf()));
  const judged = secrets.map((secret, key) => enrolment.admit(applicant(key, { name: 'one', secret })));
  expect(await tally(judged)).toEqual({ in: 1, NAME_TAKEN: 199 });
  expect((await store.membership()).tokens).toHaveLength(199);
});

describe('a token that leaves it to the rules', () => {
  const BY = 'auto-register';

  /** Rules that approve whatever may be approved without a person. */
  const everybody: Rule = ({ request, held }) => {
    const act = held === null && !request.rejected ? 'approve' : 'nothing';
    return { act, labels: { from: 'rule' }, groups: [], models: false, detail: null };
  };
  const judgeAll = (keys: readonly number[]) =>
    Promise.allSettled(keys.map((key) => requests.judge(applicant(key).nodeId, BY, everybody)));

  test.each([1, 3])('with %i uses lets in that many of 200 that bring it at once', async (uses) => {
    await open({ total: 1000, perSource: 1000 });
    const secret = await secretOf({ uses, rules: 'fleet', labels: { env: 'lab', from: 'token' } });
    const keys = Array.from({ length: 200 }, (_, key) => key);
    const asked = await Promise.all(keys.map((key) => asks(applicant(key, { secret }))));
    expect([...enrolment.members()]).toEqual([]);
    for (const { judged } of asked) judged.catch(() => undefined);
    // By several at once, as two daemons would have it.
    await Promise.all([judgeAll(keys), judgeAll(keys.toReversed()), judgeAll(keys)]);
    const members = [...enrolment.members()];
    expect(members).toHaveLength(uses);
    expect(members.every(({ labels }) => labels['env'] === 'lab' && labels['from'] === 'rule')).toBe(true);
    expect(requests.list()).toHaveLength(200 - uses);
    expect(new Set(requests.list().map(({ held }) => held))).toEqual(new Set(['its join token is used up or expired']));
    expect((await store.membership()).tokens).toEqual([]);
  });

  test('is worth nothing to the rules once it has expired, was revoked, or is not brought again', async () => {
    const over: readonly (() => Promise<unknown>)[] = [
      async () => (clock += 60_000),
      () => tokens.revoke('fleet', 'me'),
      () => asks(applicant(2)),
    ];
    const seen: unknown[] = [];
    for (const [key, end] of over.entries()) {
      const secret = await secretOf({ rules: 'fleet', ttlSeconds: 60 });
      (await asks(applicant(key, { secret }))).judged.catch(() => undefined);
      expect(requests.find(`n${key}`)).toMatchObject({ held: null, request: { token: 'fleet' } });
      await end();
      const { held, request } = requests.find(`n${key}`);
      seen.push(held ?? request.token);
    }
    expect(seen).toEqual(['its join token is used up or expired', 'its join token is used up or expired', null]);
  });

  test('may be used up by a person’s approval, who can approve without it too', async () => {
    const secret = await secretOf({ rules: 'fleet' });
    for (const key of [1, 2]) (await asks(applicant(key, { secret }))).judged.catch(() => undefined);
    await requests.approve('n1', { by: 'me', replace: false });
    expect(tokens.list()).toEqual([]);
    await judgeAll([2]);
    expect([...enrolment.members()].map(({ name }) => name)).toEqual(['n1']);
    await requests.approve('n2', { by: 'me', replace: false });
    expect([...enrolment.members()].map(({ name }) => name)).toEqual(['n1', 'n2']);
  });
});

test('of 200 approvals of one name by a person, one lets one node in', async () => {
  await open({ total: 1000, perSource: 1000 });
  const keys = Array.from({ length: 200 }, (_, key) => key);
  const asked = await Promise.all(keys.map((key) => asks(applicant(key, { name: 'one' }))));
  for (const { judged } of asked) judged.catch(() => undefined);
  const by = 'me';
  const approvals = keys.map((key) => requests.approve(applicant(key).nodeId, { by, replace: false }));
  expect(await tally(approvals)).toEqual({ in: 1, NAME_TAKEN: 199 });
  // With --replace each puts the one before out: there is one at any time.
  const replacing = keys.slice(1).map((key) => requests.approve(applicant(key).nodeId, { by, replace: true }));
  expect(await tally(replacing)).toEqual({ in: 199 });
  expect([...enrolment.members()].filter(({ revokedAt }) => revokedAt === null)).toHaveLength(1);
});

test('a member keeps its new name, its labels and its groups when it is granted more', async () => {
  const first = { ...applicant(1), facts: { ...facts('n1'), offers: ['exec'] } };
  await enrolment.admit({ ...first, secret: await secretOf({ labels: { env: 'lab' } }) });
  await enrolment.admit({ ...first, facts: { ...facts('n1'), offers: ['exec', 'node-host'] } });
  await keeper.inTurn(async () => {
    const member = enrolment.member(first.nodeId)!;
    await keeper.commit(
      [{ type: 'changed', member: { ...member, name: 'renamed', groups: ['g'], drained: true } }],
      [],
    );
  });
  await requests.approve(first.nodeId, { by: 'me', replace: false });
  expect(enrolment.member(first.nodeId)).toMatchObject({
    ...{ name: 'renamed', labels: { env: 'lab' }, groups: ['g'], drained: true },
    granted: ['exec', 'node-host'],
  });
});

test('a node that was put out asks for nothing more, and is told so on the line that it holds', async () => {
  const { judged } = await asks(applicant(1));
  await requests.approve('n1', { by: 'me', replace: false });
  await judged;
  const more = { ...applicant(1), facts: { ...facts('n1'), offers: ['exec', 'node-host'] } };
  await enrolment.admit(more);
  expect(requests.list()).toHaveLength(1);
  await enrolment.revoke('n1', 'me');
  expect(requests.list()).toEqual([]);
  await requests.approve(more.nodeId, { by: 'me', replace: false });
  expect(enrolment.member(more.nodeId)).toMatchObject({ revokedAt: null, granted: ['exec'] });
});

test('a rejection of a node that had waited for days is remembered as any other', async () => {
  const { judged } = await asks(applicant(1));
  clock += 3 * DAY_MS;
  await requests.reject('n1', 'me');
  await expect(judged).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(enrolment.admit(applicant(1))).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('a use of a token is not given back by a hub that starts anew', async () => {
  const secret = await secretOf({ uses: 2 });
  await enrolment.admit(applicant(1, { secret }));
  await open();
  await enrolment.admit(applicant(2, { secret }));
  await expect(enrolment.admit(applicant(3, { secret }))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
});

test('a token is good until its time and not from then on', async () => {
  const early = await secretOf({ ttlSeconds: 60 });
  const late = await secretOf({ ttlSeconds: 60 });
  clock += 59_999;
  await enrolment.admit(applicant(1, { secret: early }));
  clock += 1;
  await expect(enrolment.admit(applicant(2, { secret: late }))).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
  expect([...enrolment.members()]).toHaveLength(1);
});

test('approvals, rejections and revocations of one node at once leave one story', async () => {
  const line = applicant(1);
  const { judged } = await asks(line);
  const by = 'me';
  const results = await Promise.allSettled([
    requests.approve('n1', { by, replace: false }),
    requests.reject('n1', by),
    requests.approve('n1', { by, replace: true }),
    enrolment.revoke('n1', by),
    enrolment.revoke('n1', by),
  ]);
  expect(
    results.map((result) => (result.status === 'fulfilled' ? 'done' : (result.reason as { code: string }).code)),
  ).toEqual(['done', 'REQUEST_NOT_FOUND', 'REQUEST_NOT_FOUND', 'done', 'NODE_NOT_FOUND']);
  await expect(judged).resolves.toMatchObject({ name: 'n1' });
  expect([...enrolment.members()].map(({ revokedAt }) => revokedAt)).toEqual([clock]);
});

test('requests have room for so many in all, and so many from one address', async () => {
  const address = '100.64.0.99';
  await asks(applicant(1, { address }));
  await asks(applicant(2, { address }));
  await expect(enrolment.admit(applicant(3, { address }))).rejects.toMatchObject({ code: 'PENDING_FULL' });
  for (const key of [4, 5, 6]) await asks(applicant(key));
  await expect(enrolment.admit(applicant(7))).rejects.toMatchObject({ code: 'PENDING_FULL' });
  // Whoever waits already may ask again.
  await asks(applicant(4));
  expect(requests.list()).toHaveLength(5);
});

test('a request is over a day after it was last asked', async () => {
  const line = applicant(1);
  await asks(line);
  line.hangUp();
  await new Promise((next) => setImmediate(next));
  clock += DAY_MS - 1;
  expect(requests.list()).toHaveLength(1);
  clock += 1;
  expect(requests.list()).toEqual([]);
  const approval = { by: 'me', replace: false };
  await expect(requests.approve('n1', approval)).rejects.toMatchObject({ code: 'REQUEST_NOT_FOUND' });
  expect((await store.membership()).requests).toEqual([]);
});

test('a node that holds its line still asks after a day', async () => {
  const line = applicant(1);
  const { judged } = await asks(line);
  clock += 3 * DAY_MS;
  await asks(applicant(2));
  expect(requests.list().map(({ request }) => request.name)).toEqual(['n1', 'n2']);
  await requests.approve('n1', { by: 'me', replace: false });
  await expect(judged).resolves.toMatchObject({ name: 'n1' });
});

test('a node that was gone before it could be told to wait leaves nobody waiting', async () => {
  const line = applicant(1);
  line.hangUp();
  await expect(enrolment.admit(line)).rejects.toMatchObject({ code: 'LINK_LOST' });
});

test('a second line of a waiting node takes the place of the first', async () => {
  const { judged: first } = await asks(applicant(1));
  const { judged: second } = await asks(applicant(1));
  await expect(first).rejects.toMatchObject({ code: 'LINK_REPLACED' });
  await requests.approve('n1', { by: 'me', replace: false });
  await expect(second).resolves.toMatchObject({ name: 'n1' });
});

test('the device of a revoked node is still to be removed after it came back by a token', async () => {
  await enrolment.admit(applicant(1, { secret: await secretOf() }));
  await enrolment.changeAtGateway(applicant(1).nodeId, () => ({ openclaw: { deviceId: 'd', removing: false } }));
  await enrolment.revoke('n1', 'me');
  await enrolment.admit(applicant(1, { secret: await secretOf() }));
  expect(enrolment.member(applicant(1).nodeId)).toMatchObject({
    revokedAt: null,
    openclaw: { deviceId: 'd', removing: true },
  });
});

test('two revoked nodes of one name are not guessed between', async () => {
  for (const key of [0xaaaaaa, 0xbbbbbb]) {
    await enrolment.admit(applicant(key, { name: 'old', secret: await secretOf() }));
    await enrolment.revoke('old', 'me');
  }
  const approval = { by: 'me', replace: false };
  await expect(requests.approve('old', approval)).rejects.toMatchObject({ code: 'NODE_AMBIGUOUS' });
  await requests.approve(applicant(0xbbbbbb).nodeId, approval);
  expect([...enrolment.members()].filter(({ revokedAt }) => revokedAt === null)).toHaveLength(1);
});

test('four digits of an id stand for one that waits, and never for one that was revoked instead', async () => {
  const [revoked, waiting] = [0xabcd1, 0xabcd2];
  await enrolment.admit(applicant(revoked, { secret: await secretOf() }));
  await enrolment.revoke(applicant(revoked).nodeId, 'me');
  const { judged } = await asks(applicant(waiting));
  judged.catch(() => undefined);
  const word = applicant(waiting).nodeId.slice(0, 4);
  expect(applicant(revoked).nodeId.slice(0, 4)).toBe(word);
  expect(await requests.approve(word, { by: 'me', replace: false })).toMatchObject({ id: applicant(waiting).nodeId });
});

test('words that name no token, or several, speak of tokens', async () => {
  for (const _ of [1, 2]) await tokens.create({ name: 'pi', ttlSeconds: 900, uses: 1 }, 'me');
  await expect(tokens.revoke('pi', 'me')).rejects.toMatchObject({
    code: 'NODE_AMBIGUOUS',
    message: expect.stringMatching(/^"pi" names 2 join tokens: pi \([0-9a-f]{12}\), pi \([0-9a-f]{12}\)$/) as string,
  });
  await expect(tokens.revoke('nobody', 'me')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const [token] = tokens.list();
  await expect(tokens.revoke(token!.hash.slice(0, 3), 'me')).rejects.toMatchObject({
    message: `"${token!.hash.slice(0, 3)}" is too short: of an id it takes 4 digits or more`,
  });
  expect((await tokens.revoke(token!.hash.slice(0, 4), 'me')).hash).toBe(token!.hash);
});
