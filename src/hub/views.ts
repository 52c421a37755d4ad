import type { AuditRecord } from '#src/core/audit.ts';
import type { Member, PairingRequest } from '#src/core/membership.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Fleet } from '#src/hub/fleet.ts';
import type { AuditView, NodeDetail, NodeHostState, NodeView, PairingRequestView } from '#src/protocol/hub-api.ts';

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
}

export function nodeView(member: Member, { fleet, nodeHosts }: ViewSources): NodeView {
  const state = fleet.state(member);
  return {
    id: member.id,
    name: member.name,
    role: member.role,
    state,
    labels: member.labels,
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
    address: link?.address ?? null,
    roundTripMs: link?.roundTripMs ?? null,
    approvedAt: iso(member.approvedAt),
    approvedBy: member.approvedBy,
    running: sources.runningOn(member.id),
  };
}

export function requestView(request: PairingRequest): PairingRequestView {
  const { facts } = request;
  return {
    id: request.nodeId,
    name: facts.name,
    role: facts.role,
    fingerprint: fingerprint(request.nodeId),
    address: request.address,
    tailnet: request.tailnet === null ? null : { ...request.tailnet, tags: [...request.tailnet.tags] },
    version: facts.version,
    platform: facts.platform,
    arch: facts.arch,
    offers: [...facts.offers],
    held: request.held,
    rejected: request.rejected,
    askedAt: iso(request.firstAskedAt),
    lastAskedAt: iso(request.lastAskedAt),
  };
}

export function auditView(record: AuditRecord): AuditView {
  return { ...record, at: iso(record.at) };
}
