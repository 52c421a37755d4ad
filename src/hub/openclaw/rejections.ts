import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';

/** What was rejected at the gateway, which forgets it at once: whoever asks again shows as one that was. */
export interface Rejections {
  has(asked: GatewayRequest): boolean;
  /** To be kept with the decision; it counts when `kept` is called. */
  change(asked: GatewayRequest, rejectedAt: number | null): RejectionChange;
}

export interface RejectionChange {
  readonly rows: readonly Change[];
  readonly kept: () => void;
}

/** Rejections that are remembered, the latest. */
const REJECTIONS_KEPT = 1000;

export async function openRejections(store: Pick<Store, 'openclawRejections'>): Promise<Rejections> {
  const stored = await store.openclawRejections();
  let rejections = new Map(
    stored.toSorted((one, other) => one.rejectedAt - other.rejectedAt).map((rejection) => [idOf(rejection), rejection]),
  );

  return {
    has: (asked) => rejections.has(idOf(asked)),
    change(asked, rejectedAt) {
      const { kind, deviceId } = asked;
      const id = idOf(asked);
      const next = new Map(rejections);
      next.delete(id);
      if (rejectedAt !== null) next.set(id, { kind, deviceId, rejectedAt });
      for (const oldest of next.keys()) if (next.size > REJECTIONS_KEPT) next.delete(oldest);
      const gone = [...rejections.keys()].filter((one) => !next.has(one)).map((one) => [one, null] as const);
      const put = rejectedAt === null ? [] : [[id, next.get(id)!] as const];
      const rows = [...gone, ...put].map(([one, value]) => ({ type: 'openclaw_rejection', id: one, value }) as const);
      return { rows, kept: () => void (rejections = next) };
    },
  };
}

function idOf({ kind, deviceId }: Pick<GatewayRequest, 'kind' | 'deviceId'>): string {
  return `${kind} ${deviceId}`;
}
