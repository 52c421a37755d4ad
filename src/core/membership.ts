import type { TailnetMachine } from '#src/core/approval.ts';
import { FederationError } from '#src/core/errors.ts';
import type { NodeFacts, Role } from '#src/core/node.ts';
import { fingerprint } from '#src/core/node.ts';

/** All times are milliseconds since the epoch, given by the caller. */
export interface Member {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: NodeFacts;
  /** What it may offer: what was approved. `facts.offers` is never more than that. */
  readonly granted: readonly string[];
  readonly approvedAt: number;
  readonly approvedBy: string;
  readonly lastSeenAt: number;
  readonly revokedAt: number | null;
  readonly openclaw: OpenClawDevice | null;
}

/** The device that a member's node host is at the OpenClaw gateway. */
export interface OpenClawDevice {
  readonly deviceId: string;
  /** Set by a revocation, cleared when the gateway confirmed that the device is gone. */
  readonly removing: boolean;
}

export interface PairingRequest {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  readonly address: string;
  /** The machine behind the address when it asked last; null where the tailnet knew none. */
  readonly tailnet: TailnetMachine | null;
  readonly firstAskedAt: number;
  readonly lastAskedAt: number;
  /** Why a plain `approve` is not enough. */
  readonly held: string | null;
  /** Set when it asked for something else first: what a person has seen is not what would be approved. */
  readonly changed: string | null;
  readonly rejected: boolean;
}

/** What the hub keeps of a join token: never the secret, only its hash. */
export interface TokenRecord {
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  readonly name: string | null;
  readonly role: Role | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usesLeft: number;
  readonly createdBy: string;
}

export interface Membership {
  readonly members: ReadonlyMap<string, Member>;
  readonly requests: ReadonlyMap<string, PairingRequest>;
  readonly tokens: ReadonlyMap<string, TokenRecord>;
}

export const EMPTY_MEMBERSHIP: Membership = { members: new Map(), requests: new Map(), tokens: new Map() };

export type MembershipEvent =
  | { readonly type: 'asked'; readonly request: PairingRequest }
  | { readonly type: 'joined'; readonly member: Member; readonly tokenHash: string | null }
  | { readonly type: 'rejected'; readonly nodeId: string }
  | { readonly type: 'forgotten'; readonly nodeId: string }
  | { readonly type: 'token'; readonly token: TokenRecord }
  | { readonly type: 'token-ended'; readonly hash: string }
  | { readonly type: 'changed'; readonly member: Member }
  | { readonly type: 'removed'; readonly nodeId: string };

/** One writer, immutable snapshots: what happened, applied. Refusing is the business of the functions below. */
export function reduce(state: Membership, event: MembershipEvent): Membership {
  switch (event.type) {
    case 'asked':
      return { ...state, requests: set(state.requests, event.request.nodeId, event.request) };
    case 'joined':
      return {
        members: set(state.members, event.member.id, event.member),
        requests: drop(state.requests, event.member.id),
        tokens: event.tokenHash === null ? state.tokens : used(state.tokens, event.tokenHash),
      };
    case 'rejected': {
      const request = state.requests.get(event.nodeId);
      if (request === undefined) return state;
      return { ...state, requests: set(state.requests, event.nodeId, { ...request, rejected: true }) };
    }
    case 'forgotten':
      return { ...state, requests: drop(state.requests, event.nodeId) };
    case 'token':
      return { ...state, tokens: set(state.tokens, event.token.hash, event.token) };
    case 'token-ended':
      return { ...state, tokens: drop(state.tokens, event.hash) };
    case 'changed':
      return { ...state, members: set(state.members, event.member.id, event.member) };
    case 'removed':
      return { ...state, members: drop(state.members, event.nodeId) };
  }
}

function set<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  return new Map(map).set(key, value);
}

function drop<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}

function used(tokens: ReadonlyMap<string, TokenRecord>, hash: string): ReadonlyMap<string, TokenRecord> {
  const token = tokens.get(hash);
  if (token === undefined) return tokens;
  return token.usesLeft > 1 ? set(tokens, hash, { ...token, usesLeft: token.usesLeft - 1 }) : drop(tokens, hash);
}

/** A node that has proved the key of `nodeId` and wants in. */
export interface Asking {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  readonly address: string;
  /** The machine behind the address; null where the tailnet knows none. */
  readonly tailnet: TailnetMachine | null;
}

export interface PendingLimits {
  readonly total: number;
  readonly perSource: number;
}

/** How long a request waits for a person. */
export const REQUEST_LIFE_MS = 24 * 3600_000;

/** A node that asks again within this time is known to wait: nothing new is to be kept. */
export const ASK_AGAIN_MS = 60_000;

/**
 * The pairing request of a node without a token; null where the one that waits says it all already.
 * Throws PENDING_FULL over the limits.
 */
export function ask(state: Membership, asking: Asking, limits: PendingLimits, now: number): MembershipEvent | null {
  const known = state.requests.get(asking.nodeId);
  if (known === undefined) checkRoom(state, asking.address, limits);
  const changed = known === undefined ? null : (changeText(known, asking) ?? known.changed);
  const held = nameHeld(state, asking) ?? changed;
  if (known !== undefined && isSaid(known, asking, held) && now - known.lastAskedAt < ASK_AGAIN_MS) return null;
  return {
    type: 'asked',
    request: {
      ...asking,
      firstAskedAt: known?.firstAskedAt ?? now,
      lastAskedAt: now,
      held,
      changed,
      rejected: known?.rejected ?? false,
    },
  };
}

/** A rejected node takes no room from those that wait; the oldest of them are forgotten by `expire`. */
function checkRoom(state: Membership, address: string, limits: PendingLimits): void {
  const waiting = [...state.requests.values()].filter(({ rejected }) => !rejected);
  const fromSource = waiting.filter((request) => request.address === address).length;
  if (waiting.length < limits.total && fromSource < limits.perSource) return;
  throw new FederationError('PENDING_FULL', 'too many nodes wait for approval', {
    hint: 'manage-federation pending, then approve or reject',
  });
}

/** The holder's fingerprint is not said: the text goes to whoever asks. */
function nameHeld(state: Membership, { nodeId, facts }: Asking): string | null {
  const holder = memberNamed(state, facts.name);
  return holder === undefined || holder.id === nodeId ? null : `the name ${facts.name} belongs to another node`;
}

/** Whether the request that waits is for the same, from the same place. */
function isSaid(known: PairingRequest, asking: Asking, held: string | null): boolean {
  if (claimText(known.facts) !== claimText(asking.facts) || held !== known.held) return false;
  return known.address === asking.address && known.tailnet?.stableId === asking.tailnet?.stableId;
}

function changeText(before: Asking, after: Asking): string | null {
  const [claimed, claims] = [claimText(before.facts), claimText(after.facts)];
  if (claimed !== claims) return `it asked as ${claimed} first, and now asks as ${claims}`;
  const [was, is] = [before.tailnet, after.tailnet];
  if (was === null || is === null || was.stableId === is.stableId) return null;
  return `it asked from the machine ${was.stableId} first, and now asks from ${is.stableId}`;
}

/** Why only a person may admit it, as things stand now. */
export function whyHeld(state: Membership, request: PairingRequest): string | null {
  const member = state.members.get(request.nodeId);
  if (member !== undefined && member.revokedAt !== null) return 'it was revoked';
  return nameHeld(state, request) ?? request.changed;
}

/** What an approval is given to: the version may change, this may not. */
function claimText({ name, role, offers }: NodeFacts): string {
  return `${role} ${name} (${[...offers].toSorted().join(', ')})`;
}

export function memberNamed(state: Membership, name: string): Member | undefined {
  return [...state.members.values()].find((member) => member.name === name && member.revokedAt === null);
}

export interface Approval {
  readonly by: string;
  /** Lets a new key take over a name; its former holder is revoked. */
  readonly replace: boolean;
  /** Those that the operator gave it before stay as they are. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Admits a waiting node, or grants a member what it asks beyond its grant. Throws NAME_TAKEN or HELD where only `replace` may. */
export function approve(
  state: Membership,
  request: PairingRequest,
  approval: Approval,
  now: number,
): MembershipEvent[] {
  if (request.changed !== null && !approval.replace) {
    throw new FederationError('HELD', request.changed, {
      hint: `manage-federation approve ${fingerprint(request.nodeId)} --replace  (if that is what you want)`,
    });
  }
  const known = state.members.get(request.nodeId);
  const labels = { ...approval.labels, ...(known?.revokedAt === null ? known.labels : {}) };
  const member = memberOf(state, request, request.facts.role, labels, approval.by, now);
  return [...makeRoom(state, member, approval, now), { type: 'joined', tokenHash: null, member }];
}

/** Takes a revoked node back as it was. Throws NAME_TAKEN where only `replace` may. */
export function readmit(state: Membership, revoked: Member, approval: Approval, now: number): MembershipEvent[] {
  const member = { ...revoked, revokedAt: null, approvedAt: now, approvedBy: approval.by };
  return [...makeRoom(state, member, approval, now), { type: 'changed', member }];
}

/** Revokes the holder of the member's name, where there is another and the approval says so. */
function makeRoom(state: Membership, member: Member, { replace }: Approval, now: number): MembershipEvent[] {
  const holder = memberNamed(state, member.name);
  if (holder === undefined || holder.id === member.id) return [];
  if (replace) return [revoke(holder, now)];
  throw new FederationError('NAME_TAKEN', `the name ${holder.name} belongs to the node ${fingerprint(holder.id)}`, {
    hint: `manage-federation approve ${fingerprint(member.id)} --replace  (revokes the old one)`,
  });
}

const TOKEN_HINT = 'on the master: manage-federation token create';

/** Admits a node that brought the secret of a join token. Throws TOKEN_INVALID, TOKEN_EXPIRED or NAME_TAKEN. */
export function redeem(state: Membership, asking: Asking, tokenHash: string, now: number): MembershipEvent {
  const token = validToken(state, tokenHash, now);
  const hint = TOKEN_HINT;
  if (token.name !== null && token.name !== asking.facts.name) {
    throw new FederationError('TOKEN_INVALID', `the join token is for a node named ${token.name}`, { hint });
  }
  const role = roleOf(token);
  if (role !== asking.facts.role) {
    throw new FederationError('TOKEN_INVALID', `the join token is for a ${role}`, { hint });
  }
  const holder = memberNamed(state, asking.facts.name);
  if (holder !== undefined && holder.id !== asking.nodeId) {
    throw new FederationError('NAME_TAKEN', `the name ${holder.name} belongs to another node`, {
      hint: `choose another name, or: manage-federation revoke ${holder.name}`,
    });
  }
  return {
    type: 'joined',
    tokenHash,
    member: memberOf(state, asking, role, token.labels, `token of ${token.createdBy}`, now),
  };
}

/** The one role that a token admits to. */
export function roleOf({ role }: TokenRecord): Role {
  return role ?? 'worker';
}

/** The token with this hash, as long as it is good for something. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export function validToken(state: Membership, hash: string, now: number): TokenRecord {
  const token = state.tokens.get(hash);
  const hint = TOKEN_HINT;
  if (token === undefined)
    throw new FederationError('TOKEN_INVALID', 'the join token is unknown, used up or expired', { hint });
  if (now >= token.expiresAt) throw new FederationError('TOKEN_EXPIRED', 'the join token has expired', { hint });
  return token;
}

function memberOf(
  state: Membership,
  asking: Asking,
  role: Role,
  labels: Readonly<Record<string, string>>,
  approvedBy: string,
  now: number,
): Member {
  return {
    id: asking.nodeId,
    name: asking.facts.name,
    role,
    publicKey: asking.publicKey,
    labels,
    facts: asking.facts,
    granted: asking.facts.offers,
    approvedAt: now,
    approvedBy,
    lastSeenAt: now,
    revokedAt: null,
    // The device of a node that was revoked before is still to be removed.
    openclaw: state.members.get(asking.nodeId)?.openclaw ?? null,
  };
}

export function revoke(member: Member, now: number): MembershipEvent {
  const openclaw = member.openclaw === null ? null : { ...member.openclaw, removing: true };
  return { type: 'changed', member: { ...member, revokedAt: now, openclaw } };
}

/** Rejected nodes that are remembered, the latest first. */
const REJECTED_KEPT = 1000;

/** How a member stands when it links again, and its request where it offers more than it was granted. */
export interface Relinked {
  readonly member: Member;
  readonly more: Asking | null;
}

/** A member that comes back. What it offers beyond its grant takes effect when a person approves it. */
export function relink(member: Member, asking: Asking, now: number): Relinked {
  const offers = asking.facts.offers.filter((offer) => member.granted.includes(offer));
  // Name and role are the federation's word by now, whatever the node calls itself.
  const facts = { ...asking.facts, name: member.name, role: member.role };
  const wantsMore = asking.facts.offers.length > offers.length;
  return {
    member: { ...member, facts: { ...facts, offers }, lastSeenAt: now },
    more: wantsMore ? { ...asking, facts } : null,
  };
}

/** What time alone ends: requests after a day, tokens at their expiry. */
export function expire(state: Membership, now: number): MembershipEvent[] {
  const old = [...state.requests.values()].filter((request) => now - request.lastAskedAt >= REQUEST_LIFE_MS);
  const rejected = [...state.requests.values()].filter((request) => request.rejected && !old.includes(request));
  const tooMany = rejected.toSorted((a, b) => b.lastAskedAt - a.lastAskedAt).slice(REJECTED_KEPT);
  const requests = [...old, ...tooMany];
  const tokens = [...state.tokens.values()].filter((token) => now >= token.expiresAt);
  return [
    ...requests.map(({ nodeId }) => ({ type: 'forgotten', nodeId }) as const),
    ...tokens.map(({ hash }) => ({ type: 'token-ended', hash }) as const),
  ];
}
