import type { z } from 'zod';
import type { Artefact, HandoffEvent } from '#src/core/handoff/event.ts';
import type { Asker } from '#src/core/policy.ts';
import type {
  AgentView,
  handoffCreateSchema,
  HandoffListed,
  HandoffView,
  messageCreateSchema,
  MessageView,
} from '#src/protocol/handoffs.ts';

/** As the schema leaves it. */
export type HandoffWish = z.output<typeof handoffCreateSchema>;
export type MessageWish = z.output<typeof messageCreateSchema>;

/**
 * Who wants something of handoffs: the operator and the owner in a chat, who see all of them; or a node, for an agent of
 * its own that works on the handoff `parent` and hands a part of it on. It sees what came of that one alone.
 */
export type HandoffCaller = Asker;

/** What is kept of a handoff beside its answer, which may be long. */
export type HandoffHead = Pick<
  HandoffView,
  'id' | 'key' | 'asker' | 'target' | 'state' | 'createdAt' | 'startedAt' | 'endedAt'
>;

/** What a follower is handed: an event, or how it stands, which is no event and has no seq. */
export type Followed =
  | { readonly kind: 'event'; readonly event: HandoffEvent }
  | { readonly kind: 'standing'; readonly view: HandoffView };

/** Something that was asked for with a key. */
export interface Created<T> {
  readonly view: T;
  /** False where the key was known: this is what came of it before. */
  readonly isNew: boolean;
}

/**
 * All that can be asked of handoffs and messages, for every way that leads to them. Each throws HANDOFF_NOT_FOUND for
 * what is not there, or is not the caller's to see.
 */
export interface HandoffDesk {
  /**
   * Resolves when it is durable that it is to be done: from here on it is begun once at most, whoever asks again with
   * the key. Throws HANDOFF_CONFLICT where the key stands for something else, DEADLINE_OVER, QUEUE_FULL,
   * AGENT_NOT_FOUND, NODE_NOT_FOUND, NODE_AMBIGUOUS, LOOP_DETECTED, LOCKED_DOWN, FORBIDDEN, APPROVAL_NEEDED,
   * APPROVAL_OVER, STORE_FAILED.
   */
  create(wish: HandoffWish, caller: HandoffCaller, parent?: string): Promise<Created<HandoffView>>;
  /** Those that are kept, the latest first: no answer is read for it. */
  list(limit: number, caller: HandoffCaller): HandoffListed[];
  /** All that are kept, the latest first: no answer is read for it. */
  heads(caller: HandoffCaller): readonly HandoffHead[];
  get(id: string, caller: HandoffCaller): Promise<HandoffView>;
  /**
   * Its events from the one after `after` on, to the last; between them how it stands, at first and whenever that
   * changes. Ends after the last event, or when the signal is aborted. Where the handoff ends with the last who follows
   * it, this counts as one until the iteration is over.
   */
  follow(id: string, after: number, caller: HandoffCaller, signal: AbortSignal): Promise<AsyncIterable<Followed>>;
  /** Asks for its end; the same however often. Resolves when it is durable that it was asked for. */
  cancel(id: string, caller: HandoffCaller): Promise<HandoffView>;
  /**
   * A file of its answer, from the node that has it. The bytes end with an error where they are not those of the hash.
   * Throws MACHINE_UNREACHABLE, LINK_LOST, PATH_NOT_FOUND.
   */
  artefact(id: string, name: string, caller: HandoffCaller, signal: AbortSignal): Promise<FetchedArtefact>;
  /** Resolves when it is durable that it is to be delivered. Throws as `create`. */
  send(wish: MessageWish, caller: HandoffCaller): Promise<Created<MessageView>>;
  message(id: string, caller: HandoffCaller): Promise<MessageView>;
  /** What the nodes that are there offer. */
  agents(): AgentView[];
}

export interface FetchedArtefact {
  readonly artefact: Artefact;
  readonly bytes: AsyncIterable<Buffer>;
}
