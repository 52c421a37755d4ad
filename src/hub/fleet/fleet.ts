import { EventEmitter } from 'node:events';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Link } from '#src/link/accept.ts';
import type { NodeState } from '#src/protocol/hub-api/node.ts';

/** The links that live now: which members can be reached, and how well. */
export interface Fleet {
  /** Takes a link that has proved itself. A second one of the same node replaces the first. */
  add(link: Link): void;
  link(nodeId: string): Link | undefined;
  links(): Iterable<Link>;
  state(member: Member): NodeState;
  /** Takes a node's link out of use: nothing new goes over it. The caller closes it. */
  take(nodeId: string): Link | undefined;
  /** Says which node's link came or went, or changed its state. */
  readonly changes: EventEmitter<{ up: [Link]; down: [Link]; state: [Link] }>;
  close(): Promise<void>;
}

/** `isQuarantined`: whether a member that is not linked is so because its identity is in doubt. */
export function createFleet(isQuarantined: (member: Member) => boolean): Fleet {
  const links = new Map<string, Link>();
  const changes: Fleet['changes'] = new EventEmitter();
  // Each feature of the hub has some.
  changes.setMaxListeners(0);

  async function watchEnd(link: Link): Promise<void> {
    await link.closed;
    if (links.get(link.nodeId) === link) links.delete(link.nodeId);
    changes.emit('down', link);
  }

  return {
    add(link) {
      links.get(link.nodeId)?.close(new FederationError('LINK_REPLACED', 'the node opened another link'));
      links.set(link.nodeId, link);
      link.onState(() => changes.emit('state', link));
      void watchEnd(link);
      changes.emit('up', link);
    },
    link: (nodeId) => links.get(nodeId),
    links: () => links.values(),
    state(member) {
      if (member.revokedAt !== null) return 'revoked';
      return links.get(member.id)?.state ?? (isQuarantined(member) ? 'quarantined' : 'offline');
    },
    take(nodeId) {
      const link = links.get(nodeId);
      links.delete(nodeId);
      return link;
    },
    changes,
    async close() {
      const reason = new FederationError('HUB_STOPPING', 'the hub stops');
      for (const link of links.values()) link.close(reason);
      await Promise.all([...links.values()].map(({ closed }) => closed));
    },
  };
}
