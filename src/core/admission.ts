import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { memberNamed } from '#src/core/membership.ts';
import type { Role } from '#src/core/node.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Asking, PairingRequest } from '#src/core/pairing.ts';
import { asksToBeMaster, isOn, machineHeld, MASTER_HELD, membersOn } from '#src/core/pairing.ts';
import type { Approval } from '#src/core/request.ts';
import { roleOf, tokenFor } from '#src/core/token.ts';

/**
 * Admits a waiting node, or grants a member what it asks: offers beyond its grant, or another machine.
 * Throws NAME_TAKEN or HELD where only `replace` may.
 */
export function approve(
  state: Membership,
  request: PairingRequest,
  approval: Approval,
  now: number,
): MembershipEvent[] {
  const { kind, changed } = request;
  if (asksToBeMaster(request)) throw masterHeld();
  const held = kind === 'moved' ? request.held : changed;
  if (held !== null && !approval.replace) {
    throw new FederationError('HELD', held, {
      hint: `manage-federation approve ${fingerprint(request.nodeId)} --replace  (if that is what you want)`,
    });
  }
  const isNameFree = memberNamed(state, request.facts.name) === undefined;
  const second = kind === 'join' && isNameFree && !approval.replace ? machineHeld(state, request) : null;
  if (second !== null) {
    throw new FederationError('HELD', second, {
      hint: `manage-federation approve ${fingerprint(request.nodeId)} --replace  (takes its place); a token lets it join beside it`,
    });
  }
  const known = state.members.get(request.nodeId);
  const isMember = known?.revokedAt === null;
  const facts = isMember ? factsAsMember(known, request) : request.facts;
  const tailnet = kind === 'more' ? (known?.tailnet ?? request.tailnet) : request.tailnet;
  const member: Member = {
    ...memberOf(state, { ...request, facts, tailnet }, facts.role, approval.by, now),
    labels: { ...tokenLabels(state, request), ...approval.labels },
    groups: approval.groups ?? [],
    grantedModels: approval.models ?? false,
    ...(isMember ? keptOf(known, kind) : {}),
  };
  return [
    ...makeRoom(state, member, approval, now),
    { type: 'joined', tokenHash: request.token?.hash ?? null, member },
  ];
}

function masterHeld(): FederationError {
  return new FederationError('HELD', MASTER_HELD, {
    hint: 'manage-federation token create --role master, and deploy it with that',
  });
}

/** What an approval leaves to a member: what an operator took away from it does not come back. */
function keptOf(
  { labels, groups, drained, grantedModels, formerId, rotations, approvedAt, approvedBy }: Member,
  kind: PairingRequest['kind'],
): Partial<Member> {
  const kept = { labels, groups, drained, grantedModels, formerId, rotations };
  return kind === 'more' ? { ...kept, approvedAt, approvedBy } : kept;
}

/** Of the token that it brought, as long as that is good for something. */
function tokenLabels({ tokens }: Membership, { token }: PairingRequest): Member['labels'] {
  return token === null ? {} : (tokens.get(token.hash)?.labels ?? {});
}

/** Takes a revoked node back as it was. Throws NAME_TAKEN where only `replace` may. */
export function readmit(state: Membership, revoked: Member, approval: Approval, now: number): MembershipEvent[] {
  const member = { ...revoked, revokedAt: null, pruned: false, approvedAt: now, approvedBy: approval.by };
  return [...makeRoom(state, member, approval, now), { type: 'changed', member }];
}

/** Revokes who has the member's name, and who has the machine that it comes to, where the approval says so. */
function makeRoom(state: Membership, member: Member, { replace }: Approval, now: number): MembershipEvent[] {
  const holder = memberNamed(state, member.name);
  if (replace) {
    const [there, ...more] = membersOn(state, member.tailnet);
    // A name that is taken over on its own machine leaves the others there alone; so does who is there already.
    const isThere = [holder, state.members.get(member.id)].some(
      (one) => one !== undefined && isOn(one, member.tailnet),
    );
    // Of several, none is guessed.
    const others = new Set([holder, isThere || more.length > 0 ? undefined : there]);
    return [...others]
      .filter((other) => other !== undefined && other.id !== member.id)
      .map((other) => revoke(other!, now));
  }
  if (holder === undefined || holder.id === member.id) return [];
  throw new FederationError('NAME_TAKEN', `the name ${holder.name} belongs to the node ${fingerprint(holder.id)}`, {
    hint: `manage-federation approve ${fingerprint(member.id)} --replace  (revokes the old one)`,
  });
}

/**
 * Admits a node that brought the secret of a join token; null where the token leaves that to the rules.
 * Throws TOKEN_INVALID, TOKEN_EXPIRED or NAME_TAKEN.
 */
export function redeem(state: Membership, asking: Asking, tokenHash: string, now: number): MembershipEvent | null {
  const token = tokenFor(state.tokens, tokenHash, asking.facts, now);
  if (typeof token.rules === 'string') return null;
  const holder = memberNamed(state, asking.facts.name);
  if (holder !== undefined && holder.id !== asking.nodeId) {
    throw new FederationError('NAME_TAKEN', `the name ${holder.name} belongs to another node`, {
      hint: `choose another name, or on the master: manage-federation revoke ${holder.name}`,
    });
  }
  const member = memberOf(state, asking, roleOf(token), `token of ${token.createdBy}`, now);
  return {
    type: 'joined',
    tokenHash,
    member: { ...member, labels: token.labels, grantedModels: token.models ?? true },
  };
}

function memberOf(state: Membership, asking: Asking, role: Role, approvedBy: string, now: number): Member {
  return {
    id: asking.nodeId,
    name: asking.facts.name,
    role,
    publicKey: asking.publicKey,
    formerId: null,
    rotations: [],
    tailnet: asking.tailnet,
    labels: {},
    groups: [],
    drained: false,
    pruned: false,
    facts: asking.facts,
    granted: asking.facts.offers,
    grantedCommands: asking.facts.commands,
    grantedModels: false,
    approvedAt: now,
    approvedBy,
    lastSeenAt: now,
    revokedAt: null,
    // The devices of a node that was revoked before are still to be removed.
    openclaw: state.members.get(asking.nodeId)?.openclaw ?? null,
    leaving: state.members.get(asking.nodeId)?.leaving ?? [],
    setupCodes: state.members.get(asking.nodeId)?.setupCodes ?? [],
  };
}

export function revoke(member: Member, now: number): MembershipEvent & { readonly type: 'changed' } {
  const openclaw = member.openclaw === null ? null : { ...member.openclaw, removing: true };
  return { type: 'changed', member: { ...member, revokedAt: now, openclaw } };
}

/** How a member stands when it links again, and its request where it offers more than it was granted. */
export interface Relinked {
  readonly member: Member;
  readonly more: Asking | null;
}

/**
 * A member that comes back to where it belongs. What it offers beyond its grant takes effect when a person approves it.
 * A machine that the tailnet tells for the first time is its own from then on.
 */
export function relink(member: Member, asking: Asking, now: number): Relinked {
  const offers = asking.facts.offers.filter((offer) => member.granted.includes(offer));
  const facts = factsAsMember(member, asking);
  const commands = facts.commands.filter((command) => member.grantedCommands?.includes(command) !== false);
  const wantsMore = facts.offers.length > offers.length || facts.commands.length > commands.length;
  return {
    member: {
      ...member,
      tailnet: asking.tailnet ?? member.tailnet,
      facts: { ...facts, offers, commands },
      grantedCommands: member.grantedCommands ?? facts.commands,
      lastSeenAt: now,
    },
    more: wantsMore ? { ...asking, facts } : null,
  };
}

/** Name and role are the federation's word by now, whatever the node calls itself. */
export function factsAsMember({ name, role }: Member, { facts }: Asking): Asking['facts'] {
  return { ...facts, name, role };
}

/** The key that a member takes in place of its own. */
export interface NextKey {
  readonly nodeId: string;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
}

/** How many keys a member may take within `ROTATIONS_MS`: one a minute in the long run. */
const ROTATIONS_MAX = 3;
const ROTATIONS_MS = 180_000;

/**
 * A member takes another key: its id changes and nothing else. Throws NAME_TAKEN where that key is somebody's already, and
 * HELD where it took too many of late.
 */
export function rekey(state: Membership, member: Member, next: NextKey, now: number): MembershipEvent[] {
  const rotations = member.rotations.filter(({ at }) => now - at < ROTATIONS_MS);
  if (rotations.length >= ROTATIONS_MAX) {
    throw new FederationError('HELD', `this node took ${ROTATIONS_MAX} new keys in a few minutes`, {
      hint: 'it may take the next one in some minutes',
    });
  }
  const isFormer = [...state.members.values()].some((one) => one !== member && formerIds(one).includes(next.nodeId));
  if (isFormer || state.members.has(next.nodeId) || state.requests.has(next.nodeId)) {
    throw new FederationError('NAME_TAKEN', `the key ${fingerprint(next.nodeId)} belongs to another node`, {
      hint: 'deploy-federation rotate-key makes a new one',
    });
  }
  const renewed = {
    ...{ ...member, id: next.nodeId, publicKey: next.publicKey, formerId: member.id },
    rotations: [...rotations, { from: member.id, at: now }],
  };
  return [
    { type: 'removed', nodeId: member.id },
    { type: 'forgotten', nodeId: member.id },
    { type: 'joined', tokenHash: null, member: renewed },
  ];
}
