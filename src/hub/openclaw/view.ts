import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { fingerprint } from '#src/core/node.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import { displayNameOf } from '#src/core/openclaw-node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** One node as our record and the gateway have it, either of which may not know it. */
export function openClawNodeView(
  deviceId: string,
  record: OpenClawNode | undefined,
  node: GatewayNode | undefined,
  isGatewayThere: boolean,
): OpenClawNodeView {
  const lastSeenAt = node?.lastSeenAt ?? null;
  return {
    id: deviceId,
    name: node === undefined && record !== undefined ? record.name : displayNameOf(node?.displayName ?? null, deviceId),
    fingerprint: fingerprint(deviceId),
    state: isGatewayThere || record?.removing === true ? stateOf(record, node) : 'unknown',
    platform: node?.platform ?? null,
    version: node?.version ?? null,
    commands: [...(node?.commands ?? [])],
    approvedBy: record?.approvedBy ?? null,
    lastSeenAt: lastSeenAt === null ? null : new Date(lastSeenAt).toISOString(),
  };
}

function stateOf(record: OpenClawNode | undefined, node: GatewayNode | undefined): OpenClawNodeView['state'] {
  if (record?.removing === true) return 'removing';
  switch (node?.approvalState) {
    case 'approved':
    case 'pending-reapproval':
      return node.connected ? 'connected' : 'disconnected';
    case 'unapproved':
    case 'pending-approval':
      return 'half-approved';
    case 'unknown':
    case undefined:
      return 'unknown';
  }
}
