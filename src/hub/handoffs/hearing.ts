import type { Artefact, EndedDeed } from '#src/core/handoff/event.ts';
import type { Expected, Heard } from '#src/core/handoff/order.ts';
import { judgeEvent, NOTHING_HEARD } from '#src/core/handoff/order.ts';
import type { Mirrored } from '#src/hub/handoffs/mirror.ts';
import { eventsAfter, lineOf } from '#src/hub/handoffs/transcript.ts';
import type { Said } from '#src/hub/handoffs/said.ts';

/** What a node said of one attempt, as far as it is kept. */
export interface Hearing {
  /** As the node counts. */
  readonly seq: number;
  readonly isStarted: boolean;
  readonly artefacts: readonly Artefact[];
  /** Place in the node's queue; null where it does not wait there. */
  readonly position: number | null;
  wait(position: number | null): void;
  /** Takes a piece, as far as it is in order. Throws BrokenOrder where it is not; what came before that is kept. */
  take(said: readonly Said[]): Taken;
}

export interface Taken {
  readonly isNews: boolean;
  /** Its end is not among the kept events: it becomes durable together with the record. */
  readonly end: EndedDeed | null;
}

/** A node that says what can't be. */
export class BrokenOrder extends Error {
  override readonly name = 'BrokenOrder';
}

export interface HearingOptions {
  readonly mirrored: Mirrored;
  readonly base: number;
  readonly expected: Expected;
  /** Of all that is kept of one handoff. */
  readonly maxBytes: number;
}

export async function openHearing({ mirrored, base, expected, maxBytes }: HearingOptions): Promise<Hearing> {
  let heard: Heard = NOTHING_HEARD;
  let artefacts: readonly Artefact[] = [];
  let position: number | null = null;

  function note(event: Exclude<Said, null>): boolean {
    if (event.type === 'word') {
      const isOther = position !== event.position;
      position = event.position;
      return isOther;
    }
    const judged = judgeEvent(heard, event, expected);
    if (!judged.ok) throw new BrokenOrder(judged.fault);
    heard = judged.heard;
    if (heard.isStarted) position = null;
    if (event.type === 'artefact') {
      const { name, size, sha256 } = event;
      artefacts = [...artefacts, { name, size, sha256 }];
    }
    return true;
  }

  /** Up to its end, or to what can’t be. */
  function read(said: readonly Said[], lines: string[]): Taken & { readonly fault: BrokenOrder | null } {
    let isNews = false;
    for (const one of said) {
      try {
        if (one === null) throw new BrokenOrder('it says what is no event');
        isNews = note(one) || isNews;
      } catch (fault) {
        if (fault instanceof BrokenOrder) return { isNews, end: null, fault };
        throw fault;
      }
      if (one.type === 'word') continue;
      if (one.type === 'ended') {
        const { seq: _seq, ...end } = one;
        return { isNews, end, fault: null };
      }
      lines.push(lineOf(one, base));
    }
    return { isNews, end: null, fault: null };
  }

  for await (const event of eventsAfter(mirrored, base)) note({ ...event, seq: event.seq - base });

  return {
    get seq() {
      return heard.seq;
    },
    get isStarted() {
      return heard.isStarted;
    },
    get artefacts() {
      return artefacts;
    },
    get position() {
      return position;
    },
    wait(place) {
      position = place;
    },
    take(said) {
      const lines: string[] = [];
      const before = { heard, artefacts, position };
      const { isNews, end, fault } = read(said, lines);
      const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
      if (mirrored.size + bytes > maxBytes) {
        // What is not kept was not heard: the next that is must follow the last that is.
        ({ heard, artefacts, position } = before);
        throw new BrokenOrder('it says more than is kept');
      }
      if (bytes > 0) mirrored.append(lines);
      if (fault !== null) throw fault;
      return { isNews, end };
    },
  };
}
