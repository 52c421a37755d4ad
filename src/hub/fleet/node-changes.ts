import { EventEmitter } from 'node:events';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';

/** Says the id of a node, or of a device that is no member's, of which something is another now: standing, link, commands. */
export type NodeChanges = EventEmitter<{ node: [id: string] }>;

export interface NodeChangeSources {
  readonly membership: MembershipKeeper;
  readonly fleet: Fleet;
  readonly gateway: Gateway | null;
  /** It outlives the hub, and is listened to until then. */
  readonly signal: AbortSignal;
}

export function followNodes({ membership, fleet, gateway, signal }: NodeChangeSources): NodeChanges {
  const changes: NodeChanges = new EventEmitter();
  const tell = (id: string) => void changes.emit('node', id);
  membership.changes.on('node', tell);
  fleet.changes.on('up', ({ nodeId }) => tell(nodeId));
  fleet.changes.on('down', ({ nodeId }) => tell(nodeId));
  fleet.changes.on('state', ({ nodeId }) => tell(nodeId));
  if (gateway === null) return changes;

  let before: ReadonlyMap<string, string> = new Map();
  const forget = gateway.onChange(() => {
    const now = new Map([...gateway.nodes()].map(([id, node]) => [id, JSON.stringify(node)]));
    const owners = new Map(
      [...membership.state().members.values()].flatMap(({ id, openclaw }) =>
        openclaw === null ? [] : [[openclaw.deviceId, id] as const],
      ),
    );
    for (const id of new Set([...before.keys(), ...now.keys()])) {
      if (before.get(id) !== now.get(id)) tell(owners.get(id) ?? id);
    }
    before = now;
  });
  signal.addEventListener('abort', forget, { once: true });
  return changes;
}
