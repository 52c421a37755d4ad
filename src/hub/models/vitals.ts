import { setTimeout as pause } from 'node:timers/promises';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import type { Failure, Health, Outage } from '#src/core/models/health.ts';
import { answered, begun, failed, HEALTHY, probed, untold } from '#src/core/models/health.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Offers } from '#src/hub/models/offers.ts';
import { isUpstreamWell } from '#src/hub/models/probe.ts';
import type { Link } from '#src/link/accept.ts';

type Served = Pick<OfferedModel, 'upstream' | 'id'>;

/** How the upstreams of the nodes do, each model by itself; what can't be reached at all is so for all its models. */
export interface Vitals {
  of(nodeId: string, served: Served): Health;
  /** Ids of nodes, one for each upstream or model of theirs that is out of use now. */
  outages(): readonly string[];
  begun(link: Link, served: Served, startedAt: number): void;
  answered(link: Link, served: Served, startedAt: number, firstByteMs: number): void;
  failed(link: Link, served: Served, failure: Failure): void;
  /** The client went before there was anything to learn. */
  untold(link: Link, served: Served, startedAt: number): void;
}

export interface VitalsOptions {
  readonly fleet: Fleet;
  readonly offers: Offers;
  readonly signal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** What is learned of a link ends with it: who comes back begins anew. */
export function createVitals({ fleet, offers, signal, now }: VitalsOptions): Vitals {
  const nodes = new Map<string, Map<string, Health>>();
  const healthOf = (nodeId: string, key: string): Health => nodes.get(nodeId)?.get(key) ?? HEALTHY;

  function change(link: Link, key: string, next: (health: Health) => Health): void {
    const { nodeId } = link;
    // Of a link that is gone: it says nothing of the one that is.
    if (fleet.link(nodeId) !== link) return;
    const own = nodes.get(nodeId) ?? new Map<string, Health>();
    const before = own.get(key) ?? HEALTHY;
    const after = next(before);
    if (after === before) return;
    nodes.set(nodeId, own.set(key, after));
    const isNewOutage = after.outage !== null && after.outage.since !== before.outage?.since;
    // Rejects only when the hub stops.
    if (isNewOutage && after.outage.needsProbe) probe(link, key).catch(() => undefined);
  }

  /** Asks at the end of each pause whether it answers, so that no client is kept waiting to find out. */
  async function probe(link: Link, key: string): Promise<void> {
    const since = healthOf(link.nodeId, key).outage?.since;
    const outage = (): Outage | null => {
      const now = fleet.link(link.nodeId) === link ? healthOf(link.nodeId, key).outage : null;
      return now?.since === since ? now : null;
    };
    for (let out = outage(); out?.needsProbe === true; out = outage()) {
      await pause(Math.max(0, out.until - now()), undefined, { signal, ref: false });
      if (outage() === null) return;
      const isWell = await isUpstreamWell(link, key.split('\n', 1)[0] ?? key);
      if (outage() !== null) change(link, key, (health) => probed(health, isWell, now()));
    }
  }

  fleet.changes.on('up', ({ nodeId }) => nodes.delete(nodeId));
  fleet.changes.on('down', ({ nodeId }) => {
    if (fleet.link(nodeId) === undefined) nodes.delete(nodeId);
  });
  offers.changes.on('offer', (nodeId) => {
    const own = nodes.get(nodeId);
    if (own === undefined) return;
    const offered = offers.of(nodeId).map((offer) => offer.offered);
    const kept = new Set(offered.flatMap((served) => [served.upstream, keyOf(served)]));
    for (const key of own.keys()) if (!kept.has(key)) own.delete(key);
  });

  return {
    of(nodeId, served) {
      const own = nodes.get(nodeId);
      if (own === undefined) return HEALTHY;
      const health = own.get(keyOf(served)) ?? HEALTHY;
      const outage = own.get(served.upstream)?.outage ?? null;
      return outage === null ? health : { ...health, outage };
    },
    outages: () =>
      [...nodes].flatMap(([nodeId, own]) =>
        [...own.values()].flatMap(({ outage }) => (outage === null ? [] : [nodeId])),
      ),
    begun(link, served, startedAt) {
      for (const key of [served.upstream, keyOf(served)]) change(link, key, (health) => begun(health, startedAt));
    },
    answered(link, served, startedAt, firstByteMs) {
      for (const key of [served.upstream, keyOf(served)]) {
        change(link, key, (health) => answered(health, startedAt, firstByteMs, now()));
      }
    },
    failed(link, served, failure) {
      const isOfUpstream = failure.kind === 'connect';
      const [at, beside] = isOfUpstream ? [served.upstream, keyOf(served)] : [keyOf(served), served.upstream];
      change(link, at, (health) => failed(health, failure, now()));
      change(link, beside, (health) => untold(health, failure.startedAt));
    },
    untold(link, served, startedAt) {
      for (const key of [served.upstream, keyOf(served)]) change(link, key, (health) => untold(health, startedAt));
    },
  };
}

/** An upstream has no line feed in its name, nor has a model. */
function keyOf({ upstream, id }: Served): string {
  return `${upstream}\n${id}`;
}
