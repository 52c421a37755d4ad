import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import type { HandoffWord } from '#src/protocol/handoffs.ts';
import { WORD_MS } from '#src/protocol/handoffs.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';

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
  let more = Promise.withResolvers<void>();
  const wake = (): void => more.resolve();
  stream.once('close', () => {
    closed.abort();
    wake();
  });
  const ends = [transcript.onMore(wake), place.onMove(wake)];
  let told: number | null = null;
  try {
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    while (!closed.signal.aborted) {
      more = Promise.withResolvers();
      const { ended } = transcript;
      const chunk = await transcript.read(offset);
      offset += chunk.length;
      if (chunk.length > 0) {
        if (!stream.write(chunk)) await once(stream, 'drain', { signal: closed.signal });
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
