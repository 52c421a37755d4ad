import type { Member } from '#src/core/member.ts';
import type { ListedModel, OfferedModel } from '#src/core/models/catalog.ts';
import type { Consumer } from '#src/core/models/key.ts';
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
  /** In the queue. */
  readonly waitedMs: number;
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
  readonly totalMs: number;
}

export interface Router {
  /**
   * The node to ask, with a place at its upstream; waits for one where all that may serve are full. `excluded`: ids of
   * nodes that were tried already. `onQueued` is told each new position, from 1.
   * Throws MODEL_NOT_FOUND, NODE_NOT_FOUND, MODEL_UNAVAILABLE, MODELS_BUSY (both may have `retryAfterMs`),
   * LOOP_DETECTED, and the reason of `signal`.
   */
  next(
    ask: ModelAsk,
    excluded: ReadonlySet<string>,
    signal: AbortSignal,
    onQueued?: (position: number) => void,
  ): Promise<Attempt>;
  /** All that a client may write, in the order of their names. */
  models(consumer: Consumer): readonly ListedModel[];
  /** Who would be asked now, and why not the others. Throws as `next` for what names nothing. */
  explain(ask: ModelAsk): RouteExplanation;
}
