import type { Change, Store } from '#src/adapters/store/store.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import { openClawNodeFrom } from '#src/core/openclaw-node.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';

/** What this hub has decided on OpenClaw's own nodes, as the store keeps it. */
export interface OpenClawRecords {
  /** Also of one that was revoked. */
  get(deviceId: string): OpenClawNode | undefined;
  /** Those that are let in, or are still to be removed. */
  current(): readonly OpenClawNode[];
  revoked(): readonly OpenClawNode[];
  /** Resolves when it is kept, all or nothing. */
  put(nodes: readonly OpenClawNode[], audit: readonly Change[]): Promise<void>;
  drop(deviceId: string, audit: readonly Change[]): Promise<void>;
  /** Puts back what was there; undefined: nothing. */
  restore(
    before: readonly (readonly [deviceId: string, OpenClawNode | undefined])[],
    audit: readonly Change[],
  ): Promise<void>;
}

/** Revoked ones that are remembered, the latest. */
const REVOKED_KEPT = 1000;

export async function openOpenClawRecords(
  store: Pick<Store, 'openclawNodes'>,
  membership: Pick<MembershipKeeper, 'inTurn' | 'commit'>,
): Promise<OpenClawRecords> {
  const records = new Map((await store.openclawNodes()).map((node) => [node.deviceId, openClawNodeFrom(node)]));

  async function keep(changes: ReadonlyMap<string, OpenClawNode | null>, audit: readonly Change[]): Promise<void> {
    const rows = [...changes].map(([id, value]) => ({ type: 'openclaw_node', id, value }) as const);
    await membership.inTurn(() => membership.commit([], [...rows, ...audit]));
    for (const [id, node] of changes) {
      if (node === null) records.delete(id);
      else records.set(id, node);
    }
  }

  function forgotten(): readonly OpenClawNode[] {
    const gone = [...records.values()].filter(({ revokedAt, removing }) => revokedAt !== null && !removing);
    return gone.toSorted((a, b) => b.revokedAt! - a.revokedAt!).slice(REVOKED_KEPT);
  }

  return {
    get: (deviceId) => records.get(deviceId),
    current: () => [...records.values()].filter(({ revokedAt, removing }) => revokedAt === null || removing),
    revoked: () => [...records.values()].filter(({ revokedAt }) => revokedAt !== null),
    async put(nodes, audit) {
      const old = forgotten().map(({ deviceId }) => [deviceId, null] as const);
      await keep(new Map([...old, ...nodes.map((node) => [node.deviceId, node] as const)]), audit);
    },
    drop: (deviceId, audit) => keep(new Map([[deviceId, null]]), audit),
    restore: (before, audit) => keep(new Map(before.map(([deviceId, node]) => [deviceId, node ?? null])), audit),
  };
}
