import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';
import type { Mirrored } from '#src/hub/handoffs/mirror.ts';

const READ_BYTES = 64 * 1024;

/** As it is kept and handed on: the same bytes for everybody. */
export function eventLine(seq: number, deed: HandoffDeed): string {
  return JSON.stringify({ seq, ...deed });
}

/** The same deed under the seq that it has here. */
export function lineOf({ seq, ...deed }: HandoffEvent, base: number): string {
  return eventLine(base + seq, deed);
}

/** The events after `after` that are there when it comes to them. */
export function eventsAfter(mirrored: Mirrored, after: number): AsyncGenerator<HandoffEvent> {
  return eventReader(mirrored, after).more();
}

/** One who reads on and on. */
export interface EventReader {
  /** Those that are there now and were not read before. To be read to its end before it is called again. */
  more(): AsyncGenerator<HandoffEvent>;
}

/** Looks for its place once: to look for each event that comes would be to read all that came before it. */
export function eventReader(mirrored: Mirrored, after: number): EventReader {
  let offset: number | null = null;
  return {
    async *more() {
      offset ??= await mirrored.offsetAfter(after);
      let want = READ_BYTES;
      while (offset < mirrored.size) {
        const chunk = await mirrored.read(offset, want);
        const end = chunk.lastIndexOf(10);
        if (end === -1) {
          // A line that is longer, whole in any case: lines are added whole.
          want *= 2;
          continue;
        }
        for (const line of chunk.subarray(0, end).toString('utf8').split('\n')) yield JSON.parse(line) as HandoffEvent;
        offset += end + 1;
        want = READ_BYTES;
      }
    },
  };
}
