import type { HubApi } from '#src/adapters/hub.ts';
import { FederationError } from '#src/core/errors.ts';
import { findNode } from '#src/core/selector.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/**
 * The member that a word means, else the one of OpenClaw's own nodes. Throws NODE_AMBIGUOUS, or NODE_NOT_FOUND as the
 * hub says it of members: it tells of one that waits or was revoked.
 */
export async function foundNode(hub: HubApi, word: string): Promise<NodeDetail | OpenClawNodeView> {
  try {
    return await hub.ask<NodeDetail>('GET', `/nodes/${encodeURIComponent(word)}`);
  } catch (error) {
    if (!isUnknown(error)) throw error;
    const others = await hub.ask<OpenClawNodeView[]>('GET', '/openclaw-nodes');
    try {
      return findNode(others, word);
    } catch (other) {
      throw isUnknown(other) ? error : other;
    }
  }
}

export function isMember(node: NodeDetail | OpenClawNodeView): node is NodeDetail {
  return 'role' in node;
}

function isUnknown(error: unknown): boolean {
  return error instanceof FederationError && error.code === 'NODE_NOT_FOUND';
}
