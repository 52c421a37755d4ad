import type { ServerHttp2Stream } from 'node:http2';
import type { HandoffWord } from '#src/protocol/handoffs.ts';
import { WORD_MS } from '#src/protocol/handoffs.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';

/** What is on its way to one who follows. */
const PIECE_BYTES = 32 * 1024;

/**
 * Answers with the events after `after` to the end of the handoff, as fast as the other side reads them and no faster; with
 * a word whenever its place in the queue is another, or nothing was said for a while.
 */
export async function follow(
  stream: ServerHttp2Stream,
  transcript: Transcript,
  after: number,
  place: { position(): number | null; onMove(listener: () => void): () => void },
): Promise<void> {
  const closed = new AbortController();
  let offset = await transcript.offsetAfter(after);
  if (stream.closed || stream.destroyed) return;
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let more = Promise.withResolvers<void>();
  let sent = Promise.withResolvers<void>();
  const wake = (): void => more.resolve();
  stream.once('close', () => {
    closed.abort();
    wake();
    sent.resolve();
  });
  const ends = [transcript.onMore(wake), place.onMove(wake)];
  let told: number | null = null;
  try {
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    while (!closed.signal.aborted) {
      more = Promise.withResolvers();
      const { ended } = transcript;
      const length = await transcript.read(offset, piece);
      offset += length;
      if (length > 0) {
        sent = Promise.withResolvers();
        // The next is read into the same bytes.
        stream.write(piece.subarray(0, length), () => sent.resolve());
        await sent.promise;
        continue;
      }
      if (ended !== null) break;
      const position = place.position();
      if (position !== told) say(stream, { type: 'word', position });
      told = position;
      if (!(await moreWithin(more.promise))) say(stream, { type: 'word', position: place.position() });
    }
    stream.end();
  } catch (error) {
    if (!closed.signal.aborted) stream.destroy(error instanceof Error ? error : undefined);
  } finally {
    for (const end of ends) end();
  }
}

function say(stream: ServerHttp2Stream, word: HandoffWord): void {
  if (!stream.destroyed) stream.write(`${JSON.stringify(word)}\n`);
}

/** False when there was nothing for so long that a word is due. */
async function moreWithin(more: Promise<void>): Promise<boolean> {
  const { promise: due, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, WORD_MS, false).unref();
  const found = await Promise.race([more.then(() => true), due]);
  clearTimeout(timer);
  return found;
}
