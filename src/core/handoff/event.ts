import type { HandoffOutcome } from '#src/core/handoff/state.ts';

/** What happens in a handoff, in the order of `seq`: 1, 2, 3 … without a gap, the same for everybody who ever asks. */
export type HandoffEvent = { readonly seq: number } & HandoffDeed;

export type HandoffDeed =
  | StartedDeed
  | { readonly type: 'text'; readonly text: string }
  | ToolDeed
  | ({ readonly type: 'artefact' } & Artefact)
  /** More was said than is kept: so many events are not among these. */
  | { readonly type: 'gap'; readonly events: number }
  /** It is begun anew on another node, because its caller said that it may be: all before is of no account. */
  | { readonly type: 'restarted'; readonly attempt: number }
  | EndedDeed;

/** The first of every attempt. */
export interface StartedDeed {
  readonly type: 'started';
  readonly attempt: number;
  readonly agent: string;
}

export interface ToolDeed {
  readonly type: 'tool';
  /** Of the call: its start and its result have the same. */
  readonly call: string;
  readonly name: string;
  readonly phase: 'start' | 'update' | 'result';
  /** What it was given or gave, as text; cut where it is long. */
  readonly text: string;
  readonly failed: boolean;
}

/** A file that belongs to the answer. */
export interface Artefact {
  /** One name, no path. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
}

/** The last of all. */
export interface EndedDeed {
  readonly type: 'ended';
  readonly outcome: HandoffOutcome;
  /** The whole answer; empty where there is none. */
  readonly text: string;
  /** Why it was not completed, in one line. */
  readonly problem: string | null;
  readonly usage: HandoffUsage | null;
}

/** Tokens, as the agent's gateway counts them. */
export interface HandoffUsage {
  readonly input: number;
  readonly output: number;
}

/** Of a file that goes with a handoff or comes back: one name, in which nothing is hidden, and no path. */
export function isArtefactName(text: string): boolean {
  return (
    Buffer.byteLength(text) <= 200 &&
    /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}/\\:]+$/u.test(text) &&
    !/^[.~-]/.test(text) &&
    !/[ .]$/.test(text)
  );
}
