import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { ListedModel, OfferedModel } from '#src/core/models/catalog.ts';
import { createHomes } from '#src/core/models/homes.ts';
import type { Consumer } from '#src/core/models/key.ts';
import { listModels } from '#src/core/models/list.ts';
import { noneMayServe } from '#src/core/models/refusal.ts';
import { hasLabels, isRoutedTo } from '#src/core/models/resolve.ts';
import type { Candidate } from '#src/core/models/route.ts';
import { consumerId } from '#src/core/models/usage-row.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Members } from '#src/hub/models/catalog.ts';
import { liveCatalog } from '#src/hub/models/catalog.ts';
import type { Decision } from '#src/hub/models/decide.ts';
import { createDecide, keyOf } from '#src/hub/models/decide.ts';
import { explanationOf } from '#src/hub/models/explanation.ts';
import type { Offers } from '#src/hub/models/offers.ts';
import type { Place, Ticket } from '#src/hub/models/queue.ts';
import { createQueue } from '#src/hub/models/queue.ts';
import type { ModelRoutes } from '#src/hub/models/routes.ts';
import { createVitals } from '#src/hub/models/vitals.ts';
import type { Link } from '#src/link/accept.ts';
import type { RouteExplanation } from '#src/protocol/models.ts';

/** What a client wants of a model, as far as it decides who serves it. */
export interface ModelAsk {
  /** Path of the request without its query, as `/v1/chat/completions`. */
  readonly endpoint: string;
  /** As the client wrote it; null for a request that names none. */
  readonly model: string | null;
  /** The node, or `node/upstream`, that a header pins; null where none does. */
  readonly node: string | null;
  /** Length of the body. */
  readonly bytes: number;
  /** What its conversation has in common, the most telling first, by `affinityKeys`; empty where there is nothing. */
  readonly affinity: readonly string[];
  readonly consumer: Consumer;
  /** Ids of the nodes that it came by. */
  readonly via: readonly string[];
  /** Hubs that it has passed. */
  readonly hops: number;
}

/** One try at one node. It holds a place at that upstream until `end` is called. */
export interface Attempt {
  readonly node: Member;
  readonly link: Link;
  readonly offered: OfferedModel;
  /** Milliseconds in the queue. */
  readonly waitedMs: number;
  /** Where in it the request began to wait, from 1; null where it had not to. */
  readonly position: number | null;
  /** To be called when the head of an answer that goes to the client has come: what it proves counts at once. */
  answered(firstByteMs: number): void;
  /** To be called once; further calls mean nothing. */
  end(end: AttemptEnd): void;
}

/** How a try went: what the next decisions learn from. */
export interface AttemptEnd {
  /** `status`: an answer of 408, 429 or 5xx; `cancelled`: the client went; null: the node did its part. */
  readonly failure: 'connect' | 'first-byte' | 'status' | 'truncated' | 'cancelled' | null;
  readonly status: number | null;
  /** Of the answer's Retry-After. */
  readonly retryAfterMs: number | null;
  readonly firstByteMs: number | null;
  /** Of its node for a connection to the upstream, where it says. */
  readonly connectMs?: number | null;
  /** The longest between two parts of the answer; null where it had fewer. */
  readonly idleMs?: number | null;
  readonly totalMs: number;
}

export interface Router {
  /**
   * The node to ask, with a place at its upstream; waits for one where all that may serve are full. `excluded`: ids of
   * nodes that were tried already.
   * Throws MODEL_NOT_FOUND, NODE_NOT_FOUND, MODEL_UNAVAILABLE, MODELS_BUSY (both may have `retryAfterMs`),
   * LOOP_DETECTED, and the reason of `signal`.
   */
  next(ask: ModelAsk, excluded: ReadonlySet<string>, signal: AbortSignal): Promise<Attempt>;
  /** All that a client may write, in the order of their names. */
  models(consumer: Consumer): readonly ListedModel[];
  /** Who would be asked now, and why not the others. Throws as `next` for what names nothing. */
  explain(ask: ModelAsk): RouteExplanation;
}

export interface ObservedRouter extends Router {
  /** Ids of nodes, one for each upstream or model of theirs that is out of use now. */
  outages(): readonly string[];
}

export interface RouterOptions {
  readonly fleet: Fleet;
  readonly members: Members;
  readonly offers: Offers;
  readonly routes: Pick<ModelRoutes, 'list' | 'find' | 'onChange'>;
  /** Why nothing may run; null while it may. */
  readonly denied: () => string | null;
  /** Says that `denied` is another now. */
  readonly onDenied: (listener: () => void) => void;
  readonly signal: AbortSignal;
  /** Milliseconds that a request waits for a place at most. */
  readonly queueMs?: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** Whether who asks may write that as a model. */
  readonly allows?: (consumer: Consumer, modelId: string) => boolean;
}

/** Of one request, for a place. */
interface Wait {
  readonly since: number;
  /** The first that it had; null before it has one. */
  position: number | null;
}

/** Longer than most answers take, and shorter than a client has patience for. */
const QUEUE_MS = 120_000;
const STIR_MS = 100;

/** Decides who serves which request: by what nodes offer, how they do, and who served the conversation before. */
export function createRouter(options: RouterOptions): ObservedRouter {
  const { fleet, members, offers, routes, denied, onDenied, signal: stopping } = options;
  const { queueMs = QUEUE_MS, now = () => performance.now(), allows = () => true } = options;
  const catalog = liveCatalog(offers, routes, members);
  const queue = createQueue(now);
  const vitals = createVitals({ fleet, offers, signal: stopping, now });
  const homes = createHomes();
  const chosen = new Map<string, number>();
  let choices = 0;
  const decide = createDecide({ ...{ fleet, members, denied, catalog, queue, vitals, homes, chosen, now }, stopping });

  let stirring: NodeJS.Timeout | null = null;
  /** Offers come in numbers when a hub starts: all that wait look anew once for many of them. */
  function stirSoon(): void {
    stirring ??= setTimeout(() => {
      stirring = null;
      queue.stir();
    }, STIR_MS).unref();
  }

  offers.changes.on('offer', (nodeId) => {
    const kept = new Set(offers.of(nodeId).map(keyOf));
    for (const key of chosen.keys()) if (key.startsWith(`${nodeId}/`) && !kept.has(key)) chosen.delete(key);
    stirSoon();
  });
  routes.onChange(() => queue.stir());
  onDenied(() => queue.stir());
  stopping.addEventListener('abort', () => queue.stir(), { once: true });

  function attemptAt(
    { member, offered }: Candidate,
    place: Place,
    { conversation }: Decision,
    { since, position }: Wait,
  ): Attempt {
    const link = fleet.link(member.id);
    if (link === undefined) {
      place.leave();
      throw new FederationError('MODEL_UNAVAILABLE', `${member.name} is not connected any more`);
    }
    const startedAt = now();
    chosen.set(place.key, ++choices);
    vitals.begun(link, offered, startedAt);
    const [conversationKey] = conversation;
    if (conversationKey !== undefined) homes.settle(conversationKey, place.key);
    let [isOver, hasAnswered] = [false, false];

    return {
      ...{ node: member, link, offered, waitedMs: startedAt - since, position },
      answered(firstByteMs) {
        if (isOver || hasAnswered) return;
        hasAnswered = true;
        vitals.answered(link, offered, startedAt, firstByteMs);
      },
      end({ failure, status, retryAfterMs, firstByteMs }) {
        if (isOver) return;
        isOver = true;
        // First the word of it: whoever is served by this place is to know it.
        if (failure !== null && failure !== 'cancelled') {
          vitals.failed(link, offered, { kind: failure, status, retryAfterMs, startedAt });
        } else if (!hasAnswered && firstByteMs !== null) vitals.answered(link, offered, startedAt, firstByteMs);
        else if (!hasAnswered) vitals.untold(link, offered, startedAt);
        place.leave();
      },
    };
  }

  return {
    async next(ask, excluded, signal) {
      const wait: Wait = { since: now(), position: null };
      const onQueued = (position: number): void => void (wait.position ??= position);
      let ticket: Ticket | null = null;
      for (;;) {
        signal.throwIfAborted();
        const decision = decide(ask, excluded);
        const { asked, needs, choice } = decision;
        if (choice.ranked.length === 0) throw noneMayServe(asked, choice, needs);
        for (const { candidate } of choice.ranked) {
          const place = queue.take(candidate.key, candidate.offered.concurrency);
          if (place !== null) return attemptAt(candidate, place, decision, wait);
        }
        ticket ??= queue.ticket({ consumer: consumerId(ask.consumer), signal, endsAt: wait.since + queueMs, onQueued });
        const place = await ticket.turn(
          choice.ranked.map(({ candidate: { key, offered } }) => ({ key, concurrency: offered.concurrency })),
        );
        if (place === null) continue;
        const attempt = settled(place);
        if (attempt !== null) return attempt;

        /** What held when it began to wait may not hold any more. */
        function settled(given: Place): Attempt | null {
          try {
            signal.throwIfAborted();
            const anew = decide(ask, excluded);
            const at = anew.choice.ranked.find(({ candidate }) => candidate.key === given.key);
            if (at !== undefined) return attemptAt(at.candidate, given, anew, wait);
            given.leave();
            return null;
          } catch (error) {
            given.leave();
            throw error;
          }
        }
      }
    },

    models(consumer) {
      const usable = catalog.members().flatMap((member) => {
        if (fleet.link(member.id) === undefined) return [];
        const { id: nodeId, name: nodeName, drained } = member;
        return offers.of(nodeId).map(({ offered }) => ({ nodeId, nodeName, drained, offered }));
      });
      return listModels({
        usable,
        routes: routes.list(),
        isRoutedTo(route, nodeId) {
          const member = members().get(nodeId);
          return member !== undefined && isRoutedTo(route, member) && hasLabels(member, route.labels);
        },
        isMemberName: (name) => catalog.memberNamed(name) !== undefined,
      }).filter(({ id }) => allows(consumer, id));
    },

    explain: (ask) => explanationOf(ask.model, decide(ask, new Set())),
    outages: vitals.outages,
  };
}
