import { constants } from 'node:http2';
import type { z } from 'zod';
import { answerOf, bytesOf, lost } from '#src/hub/fleet/ask-worker.ts';
import type { Said } from '#src/hub/handoffs/said.ts';
import { saidIn } from '#src/hub/handoffs/said.ts';
import type { Link } from '#src/link/accept.ts';
import type { HandoffOrder, HandoffStanding, MessageOrder, MessageStanding } from '#src/protocol/handoffs.ts';
import { handoffStandingSchema, messageStandingSchema, WORD_MS } from '#src/protocol/handoffs.ts';

/** What a hub asks of a worker about handoffs. All throw what the node says why it refuses, and LINK_LOST. */
export interface WorkerCalls {
  /** Resolves when the node has it durably. */
  order(link: Link, order: HandoffOrder): Promise<HandoffStanding>;
  cancel(link: Link, id: string): Promise<HandoffStanding>;
  /** What it says after `after`, in the pieces in which it came; until it ends or breaks off, both without an error. */
  events(link: Link, id: string, after: number, signal: AbortSignal): AsyncIterable<readonly Said[]>;
  artefact(link: Link, id: string, name: string, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
  deliver(link: Link, order: MessageOrder): Promise<MessageStanding>;
}

/** For an order, which may be of some megabytes, and its way to the node's disk. */
const ANSWER_MS = 30_000;
/** A node says at least that it is there. */
const SILENCE_MS = 6 * WORD_MS;
const MAX_ANSWER_BYTES = 64 * 1024;

export const workerCalls: WorkerCalls = {
  order: (link, order) => asked(link, 'POST', '/handoffs', order, handoffStandingSchema),
  cancel: (link, id) => asked(link, 'DELETE', `/handoffs/${id}`, null, handoffStandingSchema),
  async *events(link, id, after, signal) {
    const headers = { ':method': 'GET', ':path': `/handoffs/${id}/events?after=${after}` };
    const stream = link.request(headers, { endStream: true });
    const cut = (): void => stream.close(constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', cut, { once: true });
    try {
      await answerOf(stream, ANSWER_MS);
      yield* saidIn(stream);
    } finally {
      signal.removeEventListener('abort', cut);
      cut();
    }
  },
  async artefact(link, id, name, signal) {
    const headers = { ':method': 'GET', ':path': `/handoffs/${id}/artefacts/${encodeURIComponent(name)}` };
    const stream = link.request(headers, { endStream: true });
    const cut = (): void => void stream.destroy(lost('it was given up'));
    signal.addEventListener('abort', cut, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', cut));
    stream.setTimeout(SILENCE_MS, cut);
    await answerOf(stream, ANSWER_MS);
    return stream;
  },
  deliver: (link, order) => asked(link, 'POST', '/messages', order, messageStandingSchema),
};

async function asked<T extends z.ZodType>(
  link: Link,
  method: 'POST' | 'DELETE',
  path: string,
  body: object | null,
  schema: T,
): Promise<z.output<T>> {
  const stream = link.request({ ':method': method, ':path': path }, { endStream: body === null });
  if (body !== null) stream.end(JSON.stringify(body));
  await answerOf(stream, ANSWER_MS);
  const answer = await bytesOf(stream, MAX_ANSWER_BYTES);
  try {
    return schema.parse(JSON.parse(answer.toString('utf8')));
  } catch (cause) {
    throw lost('the node gave a strange answer', cause);
  }
}
