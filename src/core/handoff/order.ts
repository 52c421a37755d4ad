import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';

/** Where the events of one attempt stand, as its node numbers them. */
export interface Heard {
  /** Of the last one; 0 before the first. */
  readonly seq: number;
  readonly isStarted: boolean;
  readonly artefacts: ReadonlySet<string>;
}

export const NOTHING_HEARD: Heard = { seq: 0, isStarted: false, artefacts: new Set() };

/** Files of one answer that a hub takes note of. */
const MAX_ARTEFACTS = 100;

/** What the node was asked for. */
export interface Expected {
  readonly attempt: number;
  readonly agent: string;
}

export type Judged =
  | { readonly ok: true; readonly heard: Heard }
  /** What is wrong with it, in words. */
  | { readonly ok: false; readonly fault: string };

/** Whether an event may be the next that a node says of an attempt. */
export function judgeEvent(heard: Heard, event: HandoffEvent, expected: Expected): Judged {
  if (event.seq !== heard.seq + 1) return fault(`the event ${event.seq} came where ${heard.seq + 1} was next`);
  const problem = faultOf(heard, event, expected);
  if (problem !== null) return fault(problem);
  const isStarted = heard.isStarted || event.type === 'started';
  const artefacts = event.type === 'artefact' ? new Set([...heard.artefacts, event.name]) : heard.artefacts;
  return { ok: true, heard: { seq: event.seq, isStarted, artefacts } };
}

function faultOf(heard: Heard, event: HandoffDeed, { attempt, agent }: Expected): string | null {
  switch (event.type) {
    case 'started':
      if (heard.isStarted) return 'it started twice';
      if (event.attempt !== attempt) return `attempt ${event.attempt} started where ${attempt} was asked for`;
      return event.agent === agent ? null : `the agent ${event.agent} started where ${agent} was asked for`;
    case 'restarted':
      return 'a node begins nothing anew';
    case 'ended':
      return heard.isStarted || event.outcome !== 'completed' ? null : 'it was completed and never started';
    case 'artefact':
      if (!heard.isStarted) return 'it has files and never started';
      if (heard.artefacts.size >= MAX_ARTEFACTS) return `it has more than ${MAX_ARTEFACTS} files`;
      return heard.artefacts.has(event.name) ? `it has two files ${JSON.stringify(event.name)}` : null;
    case 'text':
    case 'tool':
    case 'gap':
      return heard.isStarted ? null : 'it says something and never started';
  }
}

function fault(words: string): Judged {
  return { ok: false, fault: words };
}
