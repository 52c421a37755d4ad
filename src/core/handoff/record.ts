import type { Artefact, EndedDeed, HandoffUsage } from '#src/core/handoff/event.ts';
import type { HandoffState } from '#src/core/handoff/state.ts';
import type { Asker } from '#src/core/policy.ts';

/** What an agent is to do, whole. */
export interface HandoffWork {
  readonly task: string;
  readonly context: string;
  readonly files: readonly { readonly name: string; readonly content: string }[];
}

/** How a handoff stands at the hub. Times are milliseconds since the epoch. */
export interface HandoffRecord {
  readonly id: string;
  readonly key: string;
  /** SHA-256 of what the key stands for, hex. */
  readonly payload: string;
  /** In whose name; of one that was handed on, that of the first. */
  readonly asker: Asker;
  readonly target: string;
  /** The beginning of the task, in one line. */
  readonly task: string;
  readonly state: HandoffState;
  /** Why its end was asked for, in words; null while nobody did. */
  readonly cancelling: string | null;
  readonly node: { readonly id: string; readonly name: string } | null;
  readonly agent: string | null;
  /** From 1, once it was given to a node; one more whenever it is begun anew. */
  readonly attempt: number;
  /** Seq of the last event before this attempt: a node counts its own from 1. */
  readonly base: number;
  /** Ids of the nodes of earlier attempts: it goes to none of them again. */
  readonly tried: readonly string[];
  /** Ids of nodes that may still work on it, and are to be told that nobody wants it. */
  readonly owed: readonly string[];
  readonly parent: string | null;
  /** Of the attempt of the parent that handed it on; null where nobody did. */
  readonly parentAttempt: number | null;
  readonly hops: number;
  /** Ids of the nodes that handed it on, the first one first. */
  readonly path: readonly string[];
  readonly approval: HandoffApproval | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly deadline: number | null;
  /** It waits for its start until then. */
  readonly queueUntil: number;
  readonly idleTimeoutMs: number;
  readonly rerunnable: boolean;
  readonly cancelOnDisconnect: boolean;
  /** Of the last event, once it is over. */
  readonly seq: number;
  readonly problem: string | null;
  readonly usage: HandoffUsage | null;
  readonly artefacts: readonly Artefact[];
}

/** The owner's word for this one handoff on this one node. */
export interface HandoffApproval {
  readonly id: string;
  readonly by: string;
  readonly action: string;
  readonly node: string;
}

/** From the moment at which this is durable the node may be asked to do it. */
export function placed(record: HandoffRecord, node: { id: string; name: string }, agent: string): HandoffRecord {
  return { ...record, state: 'placed', node, agent, attempt: record.tried.length + 1, problem: null };
}

/** Its node proved that it did not start. */
export function putBack(record: HandoffRecord, problem: string | null): HandoffRecord {
  return { ...record, state: 'waiting', node: null, agent: null, problem };
}

export function started(record: HandoffRecord, at: number): HandoffRecord {
  return { ...record, state: 'started', startedAt: record.startedAt ?? at };
}

/**
 * Nobody knows its end, and it may be begun anew: the event that says so has the seq `base`. What its node still says of
 * it is of no account.
 */
export function restarted(record: HandoffRecord, base: number): HandoffRecord {
  const left = record.node === null ? [] : [record.node.id];
  return {
    ...putBack(record, null),
    ...{ base, artefacts: [], startedAt: null },
    tried: [...record.tried, ...left],
    owed: [...record.owed, ...left],
  };
}

/** `isOwed`: its node may still work on it. */
export function ended(record: HandoffRecord, seq: number, deed: EndedDeed, at: number, isOwed: boolean): HandoffRecord {
  const { outcome, problem, usage } = deed;
  const owed = isOwed && record.node !== null ? [...record.owed, record.node.id] : record.owed;
  return { ...record, state: outcome, seq, problem, usage, endedAt: at, owed };
}

/** A word of the hub itself on how it ended. */
export function hubsEnd(outcome: EndedDeed['outcome'], problem: string): EndedDeed {
  return { type: 'ended', outcome, text: '', problem, usage: null };
}

/** Whom a key belongs to: two who choose the same one do not meet. */
export function keyOwner(asker: Asker, parent: string | null): string {
  if (parent !== null) return `handoff:${parent}`;
  switch (asker.kind) {
    case 'operator':
      return `operator:${asker.name}`;
    case 'chat':
      return `chat:${asker.channel}:${asker.sender}`;
    case 'node':
      return `node:${asker.id}`;
  }
}

/** When it has to have begun, or to be over; whatever comes first. */
export function startBy({ queueUntil, deadline }: HandoffRecord): number {
  return Math.min(queueUntil, deadline ?? Infinity);
}
