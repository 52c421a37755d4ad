import { FederationError } from '#src/core/errors.ts';
import type { TailnetMachine } from '#src/core/identity.ts';
import type { Member } from '#src/core/member.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { memberNamed } from '#src/core/membership.ts';
import type { NodeFacts } from '#src/core/node.ts';
import { validToken } from '#src/core/token.ts';

/** A node that has proved the key of `nodeId` and wants in. */
export interface Asking {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  /** IP address of the peer. */
  readonly address: string;
  /** The machine behind the address; null where the tailnet knows none. */
  readonly tailnet: TailnetMachine | null;
  /** False while the tailnet can’t be asked: which machine it is will be known later. */
  readonly isIdentified: boolean;
  /** The join token that it brought, where that leaves the decision to the rules. */
  readonly token: { readonly hash: string; readonly name: string } | null;
}

/** A node's wish to join, until judged. Times are milliseconds since the epoch. */
export interface PairingRequest extends Asking {
  readonly kind: 'join' | 'more' | 'moved';
  readonly firstAskedAt: number;
  readonly lastAskedAt: number;
  /** Why a plain `approve` is not enough, as the node was told. */
  readonly held: string | null;
  /** Set when it asked for something else first: what a person has seen is not what would be approved. */
  readonly changed: string | null;
  readonly rejected: boolean;
}

/** What a store of an earlier version does not have. */
type Later = 'kind' | 'token' | 'tailnet' | 'isIdentified';
export type StoredRequest = Omit<PairingRequest, Later | 'facts'> &
  Partial<Pick<PairingRequest, Later>> & {
    readonly facts: Omit<NodeFacts, 'openclaw' | 'commands'> & Partial<NodeFacts>;
  };

export function requestFrom(stored: StoredRequest, isMember: boolean): PairingRequest {
  return {
    ...{ kind: isMember ? 'more' : 'join', token: null, tailnet: null, isIdentified: true },
    ...stored,
    facts: { openclaw: null, commands: [], ...stored.facts },
  };
}

export interface PendingLimits {
  readonly total: number;
  readonly perSource: number;
}

/** How long a request waits for a person. */
export const REQUEST_LIFE_MS = 24 * 3600_000;

/** A node that asks again within this time is known to wait: nothing new is to be kept. */
export const ASK_AGAIN_MS = 60_000;

/** Rejected nodes that are remembered, the latest first. */
const REJECTED_KEPT = 1000;

/**
 * The pairing request of a node that is not let in yet; null where the one that waits says it all already.
 * Throws PENDING_FULL over the limits, and HELD for one that says something else each time.
 */
export function ask(state: Membership, asking: Asking, limits: PendingLimits, now: number): MembershipEvent | null {
  const known = state.requests.get(asking.nodeId);
  if (known === undefined) checkRoom(state, asking.address, limits);
  const change = known === undefined ? null : changeText(known, asking);
  const changed = change ?? known?.changed ?? null;
  const kind = kindOf(state, asking);
  const held = identityHeld(state, { ...asking, kind }) ?? changed;
  const isFresh = known !== undefined && now - known.lastAskedAt < ASK_AGAIN_MS;
  if (isFresh && change !== null && known.changed !== null) throw tooSoon();
  if (isFresh && kind === known.kind && isSaid(known, asking, held)) return null;
  return {
    type: 'asked',
    request: {
      ...asking,
      kind,
      firstAskedAt: known?.firstAskedAt ?? now,
      lastAskedAt: now,
      held,
      changed,
      rejected: known?.rejected ?? false,
    },
  };
}

/** Each change is kept and audited: nobody may make one after the other. */
function tooSoon(): FederationError {
  return new FederationError(
    'HELD',
    'it asked for something else a moment ago, and before that for something else again',
    {
      hint: 'it may ask again in a minute',
    },
  );
}

function kindOf(state: Membership, asking: Asking): PairingRequest['kind'] {
  const member = state.members.get(asking.nodeId);
  if (member === undefined || member.revokedAt !== null) return 'join';
  return isElsewhere(member, asking.tailnet) ? 'moved' : 'more';
}

/** Whether a member's key speaks from another machine than it belongs to. */
export function isElsewhere({ tailnet }: Member, machine: TailnetMachine | null): boolean {
  return tailnet !== null && tailnet.stableId !== machine?.stableId;
}

/** A rejected node takes no room from those that wait; the oldest of them are forgotten by `expire`. */
function checkRoom(state: Membership, address: string, limits: PendingLimits): void {
  const waiting = [...state.requests.values()].filter(({ rejected }) => !rejected);
  const fromSource = waiting.filter((request) => request.address === address).length;
  if (waiting.length < limits.total && fromSource < limits.perSource) return;
  throw new FederationError('PENDING_FULL', 'too many nodes wait for approval', {
    hint: 'on the master: manage-federation pending, then approve or reject',
  });
}

export const MASTER_HELD = 'it calls itself the master, which only a join token for a master lets it be';

/** A member's role is the federation's word; what comes anew says its own. */
export function asksToBeMaster({ kind, facts }: Pick<PairingRequest, 'kind' | 'facts'>): boolean {
  return kind === 'join' && facts.role === 'master';
}

/** The holder's fingerprint is not said: the text goes to whoever asks. */
function identityHeld(state: Membership, asking: Asking & Pick<PairingRequest, 'kind'>): string | null {
  const { nodeId, facts, tailnet, isIdentified, kind } = asking;
  if (asksToBeMaster(asking)) return MASTER_HELD;
  if (!isIdentified) return 'the tailnet can’t say which machine it is';
  if (kind === 'moved') return `it is ${facts.name}, and asks from ${placeText(tailnet)} instead of its own machine`;
  const holder = memberNamed(state, facts.name);
  if (holder !== undefined && holder.id !== nodeId) return `the name ${facts.name} belongs to another node`;
  if (kind === 'more') return null;
  return machineHeld(state, asking) ?? putOutHeld(state, asking);
}

/** Why it would be a second node of its machine, or a member under another key: null where it is neither. */
export function machineHeld(state: Membership, { tailnet }: Asking): string | null {
  const names = membersOn(state, tailnet).map((member) => member.name);
  if (names.length > 1) return `its machine has the nodes ${names.join(', ')}, under other keys`;
  return names.length === 0 ? null : `its machine is the node ${names[0]}, under another key`;
}

/** Who was put out is put out as a machine: another key of it is let in by a person and by nobody else. */
function putOutHeld(state: Membership, { nodeId, tailnet }: Asking): string | null {
  if (tailnet === null) return null;
  const isHere = ({ tailnet: own }: Pick<Asking, 'tailnet'>) => own?.stableId === tailnet.stableId;
  const [revoked] = [...state.members.values()]
    .flatMap((member) => (member.revokedAt !== null && isHere(member) ? [member.name] : []))
    .toSorted();
  if (revoked !== undefined) return `its machine was the node ${revoked}, which was revoked`;
  const [rejected] = [...state.requests.values()]
    .flatMap((one) => (one.rejected && one.nodeId !== nodeId && isHere(one) ? [one.facts.name] : []))
    .toSorted();
  return rejected === undefined ? null : `its machine asked as ${rejected} before, which was rejected`;
}

function placeText(machine: TailnetMachine | null): string {
  return machine === null ? 'outside the tailnet' : `the machine ${machine.stableId}`;
}

/** The members whose machine that is, by name: one, unless somebody let several in there. */
export function membersOn(state: Membership, machine: TailnetMachine | null): Member[] {
  if (machine === null) return [];
  return [...state.members.values()]
    .filter((member) => isOn(member, machine))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export function isOn({ revokedAt, tailnet }: Member, machine: TailnetMachine | null): boolean {
  return revokedAt === null && machine !== null && tailnet?.stableId === machine.stableId;
}

/** Whether the request that waits is for the same, from the same place. */
function isSaid(known: PairingRequest, asking: Asking, held: string | null): boolean {
  if (claimText(known.facts) !== claimText(asking.facts) || held !== known.held) return false;
  if (known.token?.hash !== asking.token?.hash || known.isIdentified !== asking.isIdentified) return false;
  return known.address === asking.address && known.tailnet?.stableId === asking.tailnet?.stableId;
}

function changeText(before: Asking, after: Asking): string | null {
  const [claimed, claims] = [claimText(before.facts), claimText(after.facts)];
  if (claimed !== claims) return `it asked as ${claimed} first, and now asks as ${claims}`;
  const [was, is] = [before.tailnet, after.tailnet];
  if (was === null || is === null || was.stableId === is.stableId) return null;
  return `it asked from the machine ${was.stableId} first, and now asks from ${is.stableId}`;
}

/** What an approval is given to: the version may change, this may not. */
function claimText({ name, role, offers, commands }: NodeFacts): string {
  const words = [...offers.toSorted(), ...commands.toSorted()];
  return `${role} ${name} (${words.join(', ')})`;
}

/** Why only a person may admit it, as things stand now. */
export function whyHeld(state: Membership, request: PairingRequest, now: number): string | null {
  const member = state.members.get(request.nodeId);
  if (member !== undefined && member.revokedAt !== null) return 'it was revoked';
  return identityHeld(state, request) ?? request.changed ?? tokenHeld(state, request, now);
}

function tokenHeld(state: Membership, { token }: PairingRequest, now: number): string | null {
  if (token === null) return null;
  try {
    validToken(state.tokens, token.hash, now);
    return null;
  } catch {
    return 'its join token is used up or expired';
  }
}

/**
 * Why a member that is not linked is under quarantine: its key spoke from another machine, or its machine with another
 * key, and no person has said yet which is right. Null where its identity is whole.
 */
export function quarantineOf(state: Membership, member: Member): string | null {
  if (member.revokedAt !== null || member.tailnet === null) return null;
  const own = state.requests.get(member.id);
  if (own?.kind === 'moved' && !own.rejected) return `its key asks from ${placeText(own.tailnet)}`;
  const { stableId } = member.tailnet;
  const other = [...state.requests.values()].find(
    ({ kind, rejected, tailnet }) => kind === 'join' && !rejected && tailnet?.stableId === stableId,
  );
  return other === undefined ? null : 'its machine asks with another key';
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
