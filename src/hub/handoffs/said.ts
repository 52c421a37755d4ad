import type { ClientHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffWord } from '#src/protocol/handoffs.ts';
import { handoffSaidSchema, MAX_EVENT_BYTES, WORD_MS } from '#src/protocol/handoffs.ts';

/** `null`: something that is none of these. */
export type Said = HandoffEvent | HandoffWord | null;

/** A node says at least that it is there. */
const SILENCE_MS = 6 * WORD_MS;
/** Of one line: JSON may name each byte by six. */
const MAX_LINE_BYTES = 6 * MAX_EVENT_BYTES + 4096;
/** No more is read while so many wait to be heard. */
const WAITING = 16;

/**
 * Whole lines of a node, those of one piece together. Ends where the node says nothing any more, or too much without an
 * end; what broke off is asked for anew, from the last that came whole. Each list is there until the next is asked for.
 */
export async function* saidIn(stream: ClientHttp2Stream): AsyncGenerator<readonly Said[]> {
  const lines = createLines();
  let said: Said[] = [];
  let isOver = stream.destroyed;
  let more = Promise.withResolvers<void>();
  const end = (): void => {
    isOver = true;
    more.resolve();
  };
  for (const name of ['end', 'error', 'close']) stream.on(name, end);
  stream.setTimeout(SILENCE_MS, () => stream.close(constants.NGHTTP2_CANCEL));
  // Piece by piece, as they come: each that is kept keeps all that the link brought with it, of other streams too.
  stream.on('data', (piece: Buffer) => {
    for (const line of lines.take(piece)) said.push(parsed(line));
    if (lines.isTooLong()) {
      said.push(null);
      stream.close(constants.NGHTTP2_CANCEL);
      return end();
    }
    if (said.length >= WAITING) stream.pause();
    more.resolve();
  });
  for (;;) {
    more = Promise.withResolvers();
    if (said.length > 0) {
      const now = said;
      said = [];
      stream.resume();
      yield now;
      // Whoever hears them may keep the list until the next comes, which may be long.
      now.length = 0;
    } else if (isOver) return;
    else await more.promise;
  }
}

/** Puts the pieces of lines together. */
function createLines() {
  /** The start of a line; in the same place for the next, for there are many. */
  let held = Buffer.allocUnsafeSlow(0);
  let length = 0;

  function hold(bytes: Buffer): void {
    if (length + bytes.length > held.length) {
      const grown = Buffer.allocUnsafeSlow(2 * (length + bytes.length));
      held.copy(grown, 0, 0, length);
      held = grown;
    }
    length += bytes.copy(held, length);
  }

  return {
    /** Those that end in this piece. */
    take(piece: Buffer): string[] {
      const lines: string[] = [];
      let start = 0;
      for (let end = piece.indexOf(10); end !== -1; end = piece.indexOf(10, start)) {
        if (length === 0) lines.push(piece.toString('utf8', start, end));
        else {
          hold(piece.subarray(start, end));
          lines.push(held.toString('utf8', 0, length));
          length = 0;
        }
        start = end + 1;
      }
      hold(piece.subarray(start));
      return lines;
    },
    isTooLong: () => length > MAX_LINE_BYTES,
  };
}

function parsed(line: string): Said {
  try {
    const said = handoffSaidSchema.safeParse(JSON.parse(line));
    return said.success ? said.data : null;
  } catch {
    return null;
  }
}
