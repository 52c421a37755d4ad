import type { Artefact, EndedDeed } from '#src/core/handoff/event.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { ended, hubsEnd } from '#src/core/handoff/record.ts';
import type { HandoffState } from '#src/core/handoff/state.ts';
import { isOver } from '#src/core/handoff/state.ts';
import { overWith } from '#src/hub/handoffs/accounts.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import { sayRestarted } from '#src/hub/handoffs/restart-line.ts';
import type { Mirrored } from '#src/hub/handoffs/mirror.ts';

/** How a handoff comes to its end: the last event and the record in one, before anybody hears of it. */
export interface Endings {
  /** Of one that no node has; where an earlier attempt may have run, it is lost and not expired. */
  unplaced(record: HandoffRecord, outcome: 'cancelled' | 'expired' | 'failed', problem: string): Promise<void>;
  /** Of one that a node has, or had: `isOwed` where it may still go on there. */
  placed(id: string, mirrored: Mirrored, end: PlacedEnd): Promise<void>;
}

export interface PlacedEnd {
  readonly deed: EndedDeed;
  readonly artefacts: readonly Artefact[];
  readonly isOwed: boolean;
}

export function createEndings(book: Book, hold: (id: string) => Promise<Mirrored>): Endings {
  async function end(
    id: string,
    mirrored: Mirrored,
    { deed, artefacts, isOwed }: PlacedEnd,
    isStill: (state: HandoffState) => boolean,
  ): Promise<void> {
    await mirrored.settled();
    await book.change(id, (record) => {
      if (!isStill(record.state)) return null;
      const seq = Math.max(mirrored.seq, record.base) + 1;
      const next = { ...ended(record, seq, deed, Date.now(), isOwed), artefacts };
      return {
        next,
        also: [
          { type: 'handoff_end', id, value: { seq, ...deed } },
          { type: 'handoff_work', id, value: null },
          overWith(next, deed),
        ],
      };
    });
  }

  return {
    placed: (id, mirrored, how) => end(id, mirrored, how, (state) => !isOver(state)),
    async unplaced(record, outcome, problem) {
      const { id, tried, attempt } = record;
      const deed =
        tried.length === 0
          ? hubsEnd(outcome, problem)
          : hubsEnd('lost', `${problem}; it was begun before, and nobody knows how that ended`);
      // Of one that was never given to a node there are no events.
      const mirrored = attempt === 0 ? NO_EVENTS : await hold(id);
      try {
        if (attempt > 0) sayRestarted(record, mirrored);
        await end(id, mirrored, { deed, artefacts: [], isOwed: false }, (state) => state === 'waiting');
      } finally {
        mirrored.release();
      }
    },
  };
}

const NO_EVENTS: Mirrored = {
  seq: 0,
  size: 0,
  append: () => undefined,
  settled: () => Promise.resolve(),
  read: () => Promise.resolve(0),
  offsetAfter: () => Promise.resolve(0),
  release: () => undefined,
};
