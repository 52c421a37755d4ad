import { EventEmitter } from 'node:events';
import type { Offer, OfferedModel } from '#src/core/models/catalog.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { createOfferDoor } from '#src/hub/fleet/offer-door.ts';

/** What the nodes offer now, of those that may. An offer belongs to the link by whose credential it came, and ends with it. */
export interface Offers {
  /** Counts that a node wants to say what it offers. Throws MODELS_BUSY for one that does so too often. */
  knock(nodeId: string): void;
  /**
   * Takes all that a node offers, in the place of what it offered before. Throws FORBIDDEN where its link is another by
   * now, or there is none.
   */
  put(nodeId: string, link: number, models: readonly OfferedModel[]): void;
  /** Says that a node may offer now, or may not. */
  judge(nodeId: string): void;
  offering(modelId: string): readonly Offer[];
  of(nodeId: string): readonly Offer[];
  modelIds(): Iterable<string>;
  /** What nodes offer that may not. */
  withheld(): readonly { readonly nodeId: string; readonly models: readonly string[] }[];
  /** Ids of the nodes that offered it when they were there last, and are away. */
  lost(modelId: string): readonly string[];
  /** Says whose offer is another now. */
  readonly changes: EventEmitter<{ offer: [nodeId: string] }>;
}

/** Nodes of which what they offered is remembered when they go. */
const LOST_AT_MOST = 1000;

export interface OffersOptions {
  readonly fleet: Pick<Fleet, 'link' | 'changes'>;
  /** Whether others may be served by what a node offers. */
  readonly mayOffer: (nodeId: string) => boolean;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export function createOffers({ fleet, mayOffer, now = () => performance.now() }: OffersOptions): Offers {
  const nodes = new Map<string, readonly Offer[]>();
  /** Of nodes that may not: it counts as soon as they may. */
  const withheld = new Map<string, readonly Offer[]>();
  const models = new Map<string, readonly Offer[]>();
  const door = createOfferDoor({ fleet, tooOften: 'MODELS_BUSY', now });
  const gone = new Map<string, ReadonlySet<string>>();
  const changes: Offers['changes'] = new EventEmitter();

  function replace(nodeId: string, offers: readonly Offer[]): void {
    for (const id of idsOf(nodes.get(nodeId) ?? [])) {
      const left = (models.get(id) ?? []).filter((offer) => offer.nodeId !== nodeId);
      if (left.length === 0) models.delete(id);
      else models.set(id, left);
    }
    for (const [id, own] of Map.groupBy(offers, ({ offered }) => offered.id)) {
      models.set(id, [...(models.get(id) ?? []), ...own]);
    }
    if (offers.length === 0) nodes.delete(nodeId);
    else nodes.set(nodeId, offers);
    changes.emit('offer', nodeId);
  }

  function take(nodeId: string, offers: readonly Offer[]): void {
    const isWithheld = offers.length > 0 && !mayOffer(nodeId);
    if (isWithheld) withheld.set(nodeId, offers);
    else withheld.delete(nodeId);
    replace(nodeId, isWithheld ? [] : offers);
  }

  function remember(nodeId: string, offers: readonly Offer[]): void {
    gone.delete(nodeId);
    gone.set(nodeId, idsOf(offers));
    const [oldest] = gone.keys();
    if (gone.size > LOST_AT_MOST && oldest !== undefined) gone.delete(oldest);
  }

  fleet.changes.on('down', ({ nodeId }) => {
    // Of a link that was replaced, the next one is there already: it says anew what is offered.
    if (fleet.link(nodeId) !== undefined) return;
    withheld.delete(nodeId);
    const offers = nodes.get(nodeId);
    if (offers === undefined) return;
    remember(nodeId, offers);
    replace(nodeId, []);
  });
  fleet.changes.on('up', ({ nodeId }) => {
    withheld.delete(nodeId);
    if (nodes.has(nodeId)) replace(nodeId, []);
  });

  return {
    knock: door.knock,
    put(nodeId, link, offered) {
      door.check(nodeId, link);
      gone.delete(nodeId);
      take(
        nodeId,
        offered.map((one) => ({ nodeId, offered: one })),
      );
    },
    judge(nodeId) {
      const said = withheld.get(nodeId) ?? nodes.get(nodeId);
      if (said !== undefined && mayOffer(nodeId) === withheld.has(nodeId)) take(nodeId, said);
    },
    offering: (modelId) => models.get(modelId) ?? [],
    of: (nodeId) => nodes.get(nodeId) ?? [],
    modelIds: () => models.keys(),
    withheld: () => [...withheld].map(([nodeId, offers]) => ({ nodeId, models: [...idsOf(offers)] })),
    lost: (modelId) => [...gone].filter(([, ids]) => ids.has(modelId)).map(([nodeId]) => nodeId),
    changes,
  };
}

function idsOf(offers: readonly Offer[]): ReadonlySet<string> {
  return new Set(offers.map(({ offered }) => offered.id));
}
