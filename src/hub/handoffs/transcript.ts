import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';
import type { Mirrored } from '#src/hub/handoffs/mirror.ts';

const READ_BYTES = 32 * 1024;

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
  let buffer = Buffer.alloc(0);
  return {
    async *more() {
      offset ??= await mirrored.offsetAfter(after);
      let want = READ_BYTES;
      while (offset < mirrored.size) {
        if (buffer.length !== want) buffer = Buffer.allocUnsafeSlow(want);
        const bytes = buffer.subarray(0, await mirrored.read(offset, buffer));
        let start = 0;
        for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
          yield JSON.parse(bytes.toString('utf8', start, end)) as HandoffEvent;
          start = end + 1;
        }
        if (start === 0 && bytes.length < want) throw new Error('the events of a handoff are not whole');
        // A line that is longer, whole in any case: lines are added whole.
        want = start === 0 ? want * 2 : READ_BYTES;
        offset += start;
      }
    },
  };
}
