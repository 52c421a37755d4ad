import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { auditLog } from '#src/hub/audit.ts';
import { createEnrolment } from '#src/hub/enrolment/enrolment.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import { createTokens } from '#src/hub/enrolment/tokens.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { Applicant } from '#src/link/accept.ts';
import { facts } from '../support/link.ts';
import { SILENT_LOG } from '../support/member.ts';
import type { Knock } from '../support/membership-model.ts';
import type { Seen, StorySubject } from '../support/membership-story.ts';
import { ALL_SEEN, STORY_LIMITS, tellStory, TOKEN_LIFE_MS } from '../support/membership-story.ts';

const BY = 'me';
const HUB_ID = 'f'.repeat(64);
const nodeId = (key: number) => key.toString(16).padStart(64, '0');
const keyOf = (id: string) => Number.parseInt(id, 16);

/** The real enrolment on a real store, in a folder of its own. */
async function openSubject(directory: string): Promise<StorySubject & { end(): Promise<void> }> {
  const file = join(directory, 'hub.sqlite');
  let clock = Date.UTC(2026, 0, 1);
  const machines = new Map<string, Knock['place']['machine']>();
  const lines = new Map<number, AbortController>();
  const secrets = new Map<string, { readonly secret: string; readonly hash: string }>();

  const identify: Identify = async (address) => {
    const machine = machines.get(address) ?? null;
    if (machine === 'unsaid') return { kind: 'unknown', problem: 'no answer' };
    if (machine === null) return { kind: 'stranger' };
    return { kind: 'machine', machine: { stableId: machine, name: `${machine}.tail.lab`, user: null, tags: [] } };
  };

  async function open() {
    const store = openSqliteStore(file);
    const membership = await openMembership({ store, log: SILENT_LOG, now: () => clock });
    // The story's time is not that of the machine: nothing is asked again by itself.
    const identifyEveryMs = 24 * 3600_000;
    const enrolment = createEnrolment({
      ...{ membership, limits: STORY_LIMITS, identify, identifyEveryMs, log: SILENT_LOG },
    });
    return { store, membership, enrolment, tokens: createTokens(membership, HUB_ID) };
  }

  let hub = await open();

  function applicant(knock: Knock, line: AbortController, told: () => void): Applicant {
    const own = facts(knock.name);
    return {
      nodeId: nodeId(knock.key),
      publicKey: 'k'.repeat(43),
      facts: { ...own, offers: knock.offersMore ? ['exec', 'node-host'] : ['exec'] },
      address: knock.place.address,
      secret: knock.token === null ? null : (secrets.get(knock.token)?.secret ?? 's'.repeat(43)),
      wait: told,
      signal: line.signal,
    };
  }

  async function codeOf(work: Promise<unknown>, word: (value: never) => string = () => 'ok'): Promise<string> {
    try {
      return word((await work) as never);
    } catch (error) {
      if (error instanceof FederationError) return error.code;
      throw error;
    }
  }

  return {
    async knock(knock) {
      machines.set(knock.place.address, knock.place.machine);
      const line = new AbortController();
      const { promise: waits, resolve: told } = Promise.withResolvers<string>();
      const judged = hub.enrolment.admit(applicant(knock, line, () => told('waits')));
      const over = codeOf(judged, () => 'in');
      const word = await Promise.race([waits, over]);
      if (word !== 'waits') return word;
      lines.set(knock.key, line);
      void over.then(() => lines.get(knock.key) === line && lines.delete(knock.key));
      return word;
    },
    approve: (key, replace) => codeOf(hub.enrolment.approve(nodeId(key), { by: BY, replace })),
    async judge(key) {
      let done = 'nothing';
      const rule = hub.enrolment.judge(nodeId(key), BY, ({ request, held }) => {
        const act = held === null && !request.rejected ? 'approve' : 'nothing';
        if (act === 'approve') done = 'ok';
        return { act, labels: {}, groups: [], models: false, detail: null };
      });
      return codeOf(rule, () => done);
    },
    reject: (key) => codeOf(hub.enrolment.reject(nodeId(key), BY)),
    revoke: (key) => codeOf(hub.enrolment.revoke(nodeId(key), BY)),
    readmit: (key, replace) =>
      codeOf(hub.enrolment.readmit(nodeId(key), { by: BY, replace }), (back) => (back === null ? 'none' : 'ok')),
    rename: (key, name) =>
      hub.membership.inTurn(async () => {
        const member = hub.membership.state().members.get(nodeId(key))!;
        await hub.membership.commit([{ type: 'changed', member: { ...member, name } }], []);
      }),
    rekey: (key, next) => codeOf(hub.enrolment.rekey(nodeId(key), { nodeId: nodeId(next), publicKey: 'n'.repeat(43) })),
    async token(id, { name, byRules, uses }) {
      const made = await hub.tokens.create(
        {
          uses,
          ttlSeconds: TOKEN_LIFE_MS / 1000,
          ...(name === null ? {} : { name }),
          ...(byRules ? { rules: 'fleet' } : {}),
        },
        BY,
      );
      secrets.set(id, { secret: parseJoinToken(made.token).secret, hash: made.id });
    },
    async endToken(id) {
      const hash = secrets.get(id)?.hash;
      if (hash !== undefined) await hub.tokens.revoke(hash, BY).catch(() => undefined);
    },
    async hangUp(key) {
      lines.get(key)?.abort();
      lines.delete(key);
      await new Promise((next) => setImmediate(next));
    },
    async restart() {
      for (const line of lines.values()) line.abort();
      lines.clear();
      await hub.membership.settled();
      await hub.store.close();
      hub = await open();
    },
    pass(ms) {
      clock += ms;
    },
    view() {
      const members = [...hub.enrolment.members()];
      const made = new Map([...secrets].map(([id, { hash }]) => [hash, id]));
      return {
        members: members
          .map(
            ({ id, name, tailnet, facts: { offers }, revokedAt }) =>
              `${keyOf(id)} ${name} ${tailnet?.stableId ?? null} ${offers.includes('node-host')} ${revokedAt !== null}`,
          )
          .toSorted(),
        quarantined: members
          .filter((member) => hub.enrolment.quarantine(member) !== null)
          .map(({ id }) => String(keyOf(id)))
          .toSorted(),
        requests: hub.enrolment
          .requests()
          .map(
            ({ request: { id, kind, name, rejected }, held }) =>
              `${keyOf(id)} ${kind} ${name} ${rejected} ${held !== null}`,
          )
          .toSorted(),
        tokens: hub.tokens
          .list()
          .map(({ hash, usesLeft }) => `${made.get(hash)} ${usesLeft}`)
          .toSorted(),
        lines: [...lines.keys()].map(String).toSorted(),
      };
    },
    async end() {
      expect(await auditLog(hub.store).verify()).toMatchObject({ whole: true });
      await hub.membership.settled();
      await hub.store.close();
    },
  };
}

test('whatever happens in whatever order, and whenever the hub starts anew, its store holds what the rules say', async () => {
  const seen: Seen = new Map();
  for (let seed = 1; seed <= 24; seed += 1) {
    const directory = await mkdtemp(join(tmpdir(), 'ocf-story-'));
    try {
      const subject = await openSubject(directory);
      await tellStory(seed, 150, subject, seen);
      await subject.end();
    } finally {
      await rm(directory, { recursive: true });
    }
  }
  expect([...seen.keys()].toSorted()).toEqual(ALL_SEEN);
}, 120_000);
