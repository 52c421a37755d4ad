import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { displayNameOf } from '#src/core/openclaw-node.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { Revocation } from '#src/hub/enrolment/revocation.ts';

/** What is of no use any more: a member that nobody saw, one that was revoked, or a device of nobody's at the gateway. */
export interface Ghost {
  readonly kind: 'member' | 'revoked' | 'device';
  readonly id: string;
  readonly name: string;
  /** In words. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly lastSeenAt: number;
}

/** `problem`: why it is still there; null for what is gone, and where nothing was to be done. */
export type PrunedGhost = Ghost & { readonly problem: string | null };

export interface Pruning {
  /** What was not seen for so long, and what was revoked, oldest first; nothing of what is there or waits for a person. */
  ghosts(unseenMs: number): readonly Ghost[];
  /** Takes those of them whose ids are named away, or all; each is looked at again before. */
  prune(unseenMs: number, only: readonly string[] | null, by: string): Promise<readonly PrunedGhost[]>;
  /** Why the gateway's devices can't be looked at; null where they can, or where there is no gateway. */
  unasked(): string | null;
}

export interface PruningOptions {
  readonly membership: MembershipKeeper;
  readonly fleet: Fleet;
  readonly gateway: Gateway | null;
  /** Whether this hub has let in that device itself, or has revoked it. */
  readonly isKnown: (deviceId: string) => boolean;
  readonly revocation: Pick<Revocation, 'revoke'>;
  readonly log: Log;
}

export function createPruning(options: PruningOptions): Pruning {
  const { membership, fleet, gateway, isKnown, revocation, log } = options;
  const { state, inTurn, commit, record, now } = membership;

  function ghosts(unseenMs: number): readonly Ghost[] {
    const before = now() - unseenMs;
    const members = [...state().members.values()].flatMap((member) => ghostOf(member, before) ?? []);
    return [...members, ...deviceGhosts(before)].toSorted((a, b) => a.lastSeenAt - b.lastSeenAt);
  }

  function ghostOf(member: Member, before: number): Ghost | null {
    const { id, name, role, lastSeenAt, revokedAt, pruned, openclaw } = member;
    if (pruned || role === 'master' || asks(id)) return null;
    if (revokedAt !== null) {
      if (openclaw !== null) return null;
      return { kind: 'revoked', id, name, lastSeenAt, reason: `was revoked ${daysAgo(revokedAt)}` };
    }
    if (fleet.state(member) !== 'offline' || lastSeenAt > before) return null;
    return { kind: 'member', id, name, lastSeenAt, reason: `was last seen ${daysAgo(lastSeenAt)}` };
  }

  /** Also of one that was rejected: it is there. */
  function asks(nodeId: string): boolean {
    return state().requests.has(nodeId);
  }

  function deviceGhosts(before: number): Ghost[] {
    if (gateway === null) return [];
    const asking = new Set(gateway.requests().map(({ deviceId }) => deviceId));
    const members = new Set([...state().members.values()].map(({ openclaw }) => openclaw?.deviceId));
    return [...gateway.nodes()].flatMap(([id, { connected, pendingRequestId, lastSeenAt, displayName }]) => {
      if (connected || pendingRequestId !== null || asking.has(id) || members.has(id) || isKnown(id)) return [];
      // Of one that was never seen nobody knows how old it is.
      if (lastSeenAt === null || lastSeenAt > before) return [];
      const reason = `is nobody’s at the gateway, and was last seen there ${daysAgo(lastSeenAt)}`;
      return [{ kind: 'device', id, name: displayNameOf(displayName, id), lastSeenAt, reason }];
    });
  }

  function daysAgo(at: number): string {
    const hours = Math.max(0, Math.floor((now() - at) / 3600_000));
    if (hours < 48) return `${hours} h ago`;
    return `${Math.floor(hours / 24)} days ago`;
  }

  async function takeAway({ kind, id, name }: Ghost, by: string): Promise<void> {
    if (kind === 'device') {
      await gateway?.removeDevice(id);
      await inTurn(() => commit([], [record('node.prune', by, { kind, node: name, id })]));
      return;
    }
    // Its device goes when the gateway confirms it, however long that takes.
    if (kind === 'member') await revocation.revoke(id, by);
    await inTurn(async () => {
      const member = state().members.get(id);
      if (member === undefined || member.revokedAt === null) return;
      const event = { type: 'changed', member: { ...member, pruned: true } } as const;
      await commit([event], [record('node.prune', by, { kind, node: name, id })]);
    });
  }

  /** One that fails hides nothing of what became of the others. */
  function problemOf(error: unknown, { kind, id }: Ghost): string {
    if (error instanceof FederationError) return error.message;
    log.error('a ghost could not be pruned', {
      kind,
      id,
      problem: error instanceof Error ? error.stack : String(error),
    });
    return 'it failed; the hub’s log says why';
  }

  return {
    ghosts,
    async prune(unseenMs, only, by) {
      const wanted = ghosts(unseenMs).filter(({ id }) => only?.includes(id) !== false);
      const pruned: PrunedGhost[] = [];
      for (const ghost of wanted) {
        // What came back while the others went is none any more.
        if (!ghosts(unseenMs).some(({ id }) => id === ghost.id)) continue;
        const problem = await takeAway(ghost, by).then(
          () => null,
          (error: unknown) => problemOf(error, ghost),
        );
        log.info('a ghost was pruned', { kind: ghost.kind, id: ghost.id, problem });
        pruned.push({ ...ghost, problem });
      }
      return pruned;
    },
    unasked() {
      if (gateway === null || gateway.status().state === 'connected') return null;
      return gateway.status().problem ?? 'the gateway is not connected';
    },
  };
}
