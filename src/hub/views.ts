import type { AuditRecord } from '#src/core/audit.ts';
import type { TailnetMachine } from '#src/core/identity.ts';
import type { Lockdown } from '#src/core/lockdown.ts';
import type { Member } from '#src/core/member.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Operator } from '#src/core/operator.ts';
import { risksOf } from '#src/core/risk.ts';
import type { TokenRecord } from '#src/core/token.ts';
import { roleOf } from '#src/core/token.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Approved, JudgedRequest } from '#src/hub/enrolment/requests.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { LockdownStatus } from '#src/protocol/hub-api/lockdown.ts';
import type { NodeDetail, NodeHostState, NodeView } from '#src/protocol/hub-api/node.ts';
import type { OperatorView } from '#src/protocol/hub-api/operator.ts';
import type { ApprovedView, PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { TokenView } from '#src/protocol/hub-api/token.ts';

const iso = (at: number) => new Date(at).toISOString();

/** What the gateway knows of a member's node host. */
export interface NodeHosts {
  state(member: Member): NodeHostState;
  commands(member: Member): readonly string[];
}

export interface ViewSources {
  readonly fleet: Fleet;
  readonly nodeHosts: NodeHosts;
  readonly runningOn: (nodeId: string) => number;
  readonly quarantine: (member: Member) => string | null;
}

export function nodeView(member: Member, { fleet, nodeHosts }: ViewSources): NodeView {
  const state = fleet.state(member);
  return {
    id: member.id,
    name: member.name,
    role: member.role,
    state,
    labels: member.labels,
    groups: [...member.groups],
    drained: member.drained,
    version: member.facts.version,
    openclaw: {
      nodeHost: nodeHosts.state(member),
      deviceId: member.openclaw?.deviceId ?? null,
      commands: [...nodeHosts.commands(member)],
    },
    lastSeenAt: iso(state === 'online' ? Date.now() : member.lastSeenAt),
  };
}

export function nodeDetail(member: Member, sources: ViewSources): NodeDetail {
  const link = sources.fleet.link(member.id);
  return {
    ...nodeView(member, sources),
    fingerprint: fingerprint(member.id),
    platform: member.facts.platform,
    arch: member.facts.arch,
    offers: [...member.facts.offers],
    mayOfferModels: member.grantedModels,
    address: link?.address ?? null,
    roundTripMs: link?.roundTripMs ?? null,
    approvedAt: iso(member.approvedAt),
    approvedBy: member.approvedBy,
    tailnet: machineView(member.tailnet),
    quarantine: sources.fleet.state(member) === 'quarantined' ? sources.quarantine(member) : null,
    running: sources.runningOn(member.id),
  };
}

/** `inChat`: as it is asked from a chat. */
export function requestView({ request, held }: JudgedRequest, inChat: boolean): PairingRequestView {
  const { keyId, tailnet, offers, commands, firstAskedAt, lastAskedAt, expiresAt, ...same } = request;
  return {
    ...same,
    held,
    fingerprint: fingerprint(keyId),
    tailnet: machineView(tailnet),
    offers: [...offers],
    commands: commands === null ? null : [...commands],
    risks: risksOf(request, inChat),
    askedAt: iso(firstAskedAt),
    lastAskedAt: iso(lastAskedAt),
    expiresAt: expiresAt === null ? null : iso(expiresAt),
  };
}

export function approvedView(approved: Approved): ApprovedView {
  return { ...approved, fingerprint: fingerprint(approved.id), replaced: [...approved.replaced] };
}

export function operatorView({ id, name, tailnet, approvedAt, approvedBy }: Operator): OperatorView {
  return {
    ...{ id, name, fingerprint: fingerprint(id), tailnet: machineView(tailnet) },
    approvedAt: iso(approvedAt),
    approvedBy,
  };
}

export function tokenView(token: TokenRecord): TokenView {
  const { hash, name, labels, rules = null, usesLeft, createdAt, createdBy, expiresAt } = token;
  return {
    ...{ id: hash, name, role: roleOf(token), labels, rules, usesLeft, createdBy },
    createdAt: iso(createdAt),
    expiresAt: iso(expiresAt),
  };
}

export function lockdownView(lockdown: Lockdown | null): LockdownStatus {
  return lockdown === null ? null : { ...lockdown, since: iso(lockdown.since) };
}

function machineView(machine: TailnetMachine | null): PairingRequestView['tailnet'] {
  return machine === null ? null : { ...machine, tags: [...machine.tags] };
}

export function auditView(record: AuditRecord): AuditView {
  return { ...record, at: iso(record.at) };
}
