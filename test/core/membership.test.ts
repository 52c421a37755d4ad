import { expect, test } from 'vitest';
import { approve, factsAsMember, readmit, redeem, rekey, relink, revoke } from '#src/core/admission.ts';
import { FederationError } from '#src/core/errors.ts';
import type { StoredMember } from '#src/core/member.ts';
import { formerIds, memberFrom } from '#src/core/member.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { EMPTY_MEMBERSHIP, memberNamed, reduce } from '#src/core/membership.ts';
import type { Asking, StoredRequest } from '#src/core/pairing.ts';
import { ask, expire, isElsewhere, quarantineOf, requestFrom, whyHeld } from '#src/core/pairing.ts';
import type { TokenRecord } from '#src/core/token.ts';
import { facts } from '../support/link.ts';
import type { Knock } from '../support/membership-model.ts';
import type { Seen, StorySubject } from '../support/membership-story.ts';
import { ALL_SEEN, STORY_LIMITS, tellStory } from '../support/membership-story.ts';

const nodeId = (key: number) => String(key).padStart(64, '0');
const APPROVAL = { by: 'me', replace: false };

type Decision = MembershipEvent | readonly MembershipEvent[] | null;

test('whatever happens in whatever order, who is in, who waits and what tokens are worth is what the rules say', async () => {
  const seen: Seen = new Map();
  for (let seed = 1000; seed < 1150; seed += 1) await tellStory(seed, 120, decisions(), seen);
  // The stories reach every rule: else they would prove nothing.
  expect([...seen.keys()].toSorted()).toEqual(ALL_SEEN);
});

/** The decisions by themselves, put together as the hub does it, with nothing kept but the state. */
function decisions(): StorySubject {
  const start = Date.UTC(2026, 0, 1);
  let state: Membership = EMPTY_MEMBERSHIP;
  let now = start;
  const lines = new Set<number>();

  /** `ok`, or the code of the refusal. */
  function take(decide: () => Decision): string {
    const before = JSON.stringify(kept(state));
    try {
      const events = [decide() ?? []].flat();
      // A decision changes nothing by itself.
      expect(JSON.stringify(kept(state))).toBe(before);
      state = events.reduce(reduce, state);
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      expect(JSON.stringify(kept(state))).toBe(before);
      return error.code;
    }
    for (const key of lines) if (!state.requests.has(nodeId(key))) lines.delete(key);
    return 'ok';
  }

  const over = () => expire(state, now).filter((one) => one.type !== 'forgotten' || !lines.has(Number(one.nodeId)));
  const sweep = () => void take(over);
  const live = (key: number) => {
    const member = state.members.get(nodeId(key));
    return member?.revokedAt === null ? member : undefined;
  };
  const request = (key: number) => state.requests.get(nodeId(key));

  function wish(asking: Asking): string {
    sweep();
    const asked = take(() => ask(state, asking, STORY_LIMITS, now));
    if (asked !== 'ok') return asked;
    if (state.requests.get(asking.nodeId)!.rejected) return 'FORBIDDEN';
    lines.add(Number(asking.nodeId));
    return 'waits';
  }

  function knockOf(knock: Knock): string {
    const asking = askingOf(knock);
    const member = live(knock.key);
    if (member !== undefined) {
      if (knock.place.machine === 'unsaid' && member.tailnet !== null) return 'TAILNET_DOWN';
      if (isElsewhere(member, asking.tailnet)) return wish({ ...asking, facts: factsAsMember(member, asking) });
      const { member: linked, more } = relink(member, asking, now);
      take(() => ({ type: 'changed', member: linked }));
      sweep();
      if (more !== null) take(() => ask(state, more, STORY_LIMITS, now));
      return 'in';
    }
    const renewed = [...state.members.values()].find((one) => formerIds(one).includes(asking.nodeId));
    if (renewed !== undefined) return renewed.revokedAt === null ? 'KEY_ROTATED' : 'REVOKED';
    const isKnown = state.members.has(asking.nodeId);
    if (knock.token !== null) {
      let isForRules = false;
      const word = take(() => {
        const event = redeem(state, asking, knock.token!, now);
        isForRules = event === null;
        return event;
      });
      if (word !== 'ok') return word;
      if (!isForRules) return 'in';
      if (!isKnown) return wish({ ...asking, token: { hash: knock.token, name: 'fleet' } });
    }
    return isKnown ? 'REVOKED' : wish(asking);
  }

  return {
    knock: async (knock) => knockOf(knock),
    async approve(key, replace) {
      sweep();
      const asked = request(key);
      if (asked === undefined) return 'REQUEST_NOT_FOUND';
      return take(() => approve(state, asked, { ...APPROVAL, replace }, now));
    },
    async judge(key) {
      sweep();
      const asked = request(key);
      if (asked === undefined) return 'REQUEST_NOT_FOUND';
      if (asked.rejected || whyHeld(state, asked, now) !== null) return 'nothing';
      return take(() => approve(state, asked, APPROVAL, now));
    },
    async reject(key) {
      sweep();
      if (request(key) === undefined) return 'REQUEST_NOT_FOUND';
      lines.delete(key);
      return take(() => ({ type: 'rejected', nodeId: nodeId(key), at: now }));
    },
    async revoke(key) {
      const later = [...state.members.values()].find(
        (one) => one.revokedAt === null && formerIds(one).includes(nodeId(key)),
      );
      const member = live(key) ?? later;
      return member === undefined ? 'NODE_NOT_FOUND' : take(() => revoke(member, now));
    },
    async readmit(key, replace) {
      sweep();
      const former = state.members.get(nodeId(key));
      if (former === undefined || former.revokedAt === null) return 'none';
      return take(() => readmit(state, former, { ...APPROVAL, replace }, now));
    },
    async rename(key, name) {
      take(() => ({ type: 'changed', member: { ...live(key)!, name } }));
    },
    async rekey(key, next) {
      sweep();
      const member = live(key);
      if (member === undefined) return 'REVOKED';
      return take(() => rekey(state, member, { nodeId: nodeId(next), publicKey: 'n'.repeat(43) }, now));
    },
    async token(id, { name, byRules, expiresAt, uses }) {
      const token: TokenRecord = {
        ...{ hash: id, name, role: 'worker', labels: {}, rules: byRules ? 'fleet' : null, createdAt: now },
        ...{ expiresAt: start + expiresAt, usesLeft: uses, createdBy: 'me' },
      };
      take(() => ({ type: 'token', token }));
    },
    async endToken(id) {
      take(() => ({ type: 'token-ended', hash: id }));
    },
    async hangUp(key) {
      lines.delete(key);
    },
    async restart() {
      lines.clear();
      state = loaded(JSON.parse(JSON.stringify(kept(state))) as ReturnType<typeof kept>);
    },
    pass(ms) {
      now += ms;
    },
    view() {
      const shown = over().reduce(reduce, state);
      const members = [...shown.members.values()];
      for (const { name, revokedAt } of members) {
        const holders = members.filter((one) => one.name === name && one.revokedAt === null);
        expect(holders.length).toBeLessThanOrEqual(1);
        if (revokedAt === null) expect(memberNamed(shown, name)).toBe(holders[0]);
      }
      return {
        members: members
          .map(
            ({ id, name, tailnet, facts: { offers }, revokedAt }) =>
              `${Number(id)} ${name} ${tailnet?.stableId ?? null} ${offers.includes('node-host')} ${revokedAt !== null}`,
          )
          .toSorted(),
        quarantined: members
          .filter((member) => quarantineOf(shown, member) !== null)
          .map(({ id }) => String(Number(id)))
          .toSorted(),
        requests: [...shown.requests.values()]
          .map((one) => {
            const isHeld = whyHeld(shown, one, now) !== null;
            return `${Number(one.nodeId)} ${one.kind} ${one.facts.name} ${one.rejected} ${isHeld}`;
          })
          .toSorted(),
        tokens: [...shown.tokens.values()].map(({ hash, usesLeft }) => `${hash} ${usesLeft}`).toSorted(),
        lines: [...lines].map(String).toSorted(),
      };
    },
  };
}

function askingOf({ key, name, offersMore, place: { address, machine } }: Knock): Asking {
  const own = facts(name);
  const isThere = machine !== null && machine !== 'unsaid';
  return {
    nodeId: nodeId(key),
    publicKey: 'k'.repeat(43),
    facts: { ...own, offers: offersMore ? ['exec', 'node-host'] : ['exec'] },
    address,
    tailnet: isThere ? { stableId: machine, name: `${machine}.tail.lab`, user: null, tags: [] } : null,
    isIdentified: machine !== 'unsaid',
    token: null,
  };
}

/** All that a store keeps of it. */
function kept({ members, requests, tokens }: Membership) {
  return {
    members: [...members.values()] as StoredMember[],
    requests: [...requests.values()] as StoredRequest[],
    tokens: [...tokens.values()],
  };
}

function loaded({ members, requests, tokens }: ReturnType<typeof kept>): Membership {
  const events: MembershipEvent[] = [
    ...members.map((member) => ({ type: 'changed', member: memberFrom(member) }) as const),
    ...requests.map((request) => ({ type: 'asked', request: requestFrom(request, false) }) as const),
    ...tokens.map((token) => ({ type: 'token', token }) as const),
  ];
  return events.reduce(reduce, EMPTY_MEMBERSHIP);
}
