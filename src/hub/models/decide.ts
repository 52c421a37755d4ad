import { FederationError } from '#src/core/errors.ts';
import type { ModelRoute, Offer } from '#src/core/models/catalog.ts';
import type { Homes } from '#src/core/models/homes.ts';
import { refuseEndless } from '#src/core/models/refusal.ts';
import type { Catalog } from '#src/core/models/resolve.ts';
import { resolveModel } from '#src/core/models/resolve.ts';
import type { Candidate, Choice, Needs } from '#src/core/models/route.ts';
import { choose } from '#src/core/models/route.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Members } from '#src/hub/models/catalog.ts';
import type { Queue } from '#src/hub/models/queue.ts';
import type { ModelAsk } from '#src/hub/models/router.ts';
import type { Vitals } from '#src/hub/models/vitals.ts';

/** Who may serve a request as all stands now, and what it was taken to mean. */
export interface Decision {
  /** What was asked for, in words. */
  readonly asked: string;
  readonly model: string | null;
  readonly route: ModelRoute | null;
  readonly needs: Needs;
  readonly choice: Choice;
  /** Keys of its conversation, for this model. */
  readonly conversation: readonly string[];
}

/** Throws as `Router.next` for what names nothing, or may not be served at all. */
export type Decide = (ask: ModelAsk, excluded: ReadonlySet<string>) => Decision;

export interface DecideOptions {
  readonly fleet: Pick<Fleet, 'link'>;
  readonly members: Members;
  readonly denied: () => string | null;
  readonly catalog: Catalog;
  readonly queue: Pick<Queue, 'inFlight' | 'waiting'>;
  readonly vitals: Pick<Vitals, 'of'>;
  readonly homes: Pick<Homes, 'find'>;
  /** Number of the latest choice of each candidate, by key. */
  readonly chosen: ReadonlyMap<string, number>;
  readonly stopping: AbortSignal;
  readonly now: () => number;
}

export function createDecide(options: DecideOptions): Decide {
  const { fleet, members, denied, catalog, queue, vitals, homes, chosen, stopping, now } = options;

  function refuseAll(hops: number): void {
    if (stopping.aborted) throw new FederationError('HUB_STOPPING', 'the hub stops');
    const why = denied();
    if (why !== null) {
      throw new FederationError('LOCKED_DOWN', why, { hint: 'manage-federation lockdown --lift' });
    }
    refuseEndless(hops);
  }

  function candidateOf(offer: Offer): Candidate | null {
    const { nodeId, offered } = offer;
    const member = members().get(nodeId);
    if (member === undefined) return null;
    const key = keyOf(offer);
    return {
      key,
      member,
      offered,
      link: fleet.link(nodeId)?.state ?? null,
      health: vitals.of(nodeId, offered),
      inFlight: queue.inFlight(key),
      waiting: queue.waiting(key),
      chosenAt: chosen.get(key) ?? 0,
    };
  }

  return (ask, excluded) => {
    refuseAll(ask.hops);
    const { model, route, pinned, offers: found } = resolveModel(catalog, ask);
    const conversation = ask.affinity.map((key) => `${model ?? ''} ${key}`);
    const needs: Needs = {
      ...{ endpoint: ask.endpoint, bytes: ask.bytes, route, excluded },
      ...{ namesModel: model !== null, isPinned: pinned !== null },
      // Before the first hub it names only where the request began, which may well serve it.
      via: new Set(ask.hops === 0 ? [] : ask.via),
      home: homes.find(conversation),
    };
    const candidates: Candidate[] = [];
    for (const offer of model === null ? found.slice(0, 1) : found) {
      const candidate = candidateOf(offer);
      if (candidate !== null) candidates.push(candidate);
    }
    const asked = ask.model ?? `${pinned?.name ?? 'the node'}’s models`;
    return { asked, model, route, needs, conversation, choice: choose(needs, candidates, now()) };
  };
}

/** Of node and upstream; neither has a slash. */
export function keyOf({ nodeId, offered }: Offer): string {
  return `${nodeId}/${offered.upstream}`;
}
