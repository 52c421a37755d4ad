import type { OutgoingHttpHeaders } from 'node:http';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { FederationError } from '#src/core/errors.ts';
import type { RawHeaders } from '#src/core/models/headers.ts';
import { headerOf, leadsElsewhere } from '#src/core/models/headers.ts';
import { isAlive } from '#src/hub/models/alive.ts';
import type { Link } from '#src/link/accept.ts';
import type { ModelBody } from '#src/link/models/body.ts';
import { forgetListeners } from '#src/link/models/over.ts';
import { CONNECT_HEADER, FAILURE_HEADER, WHOLE_HEADER } from '#src/protocol/models.ts';

/** What one node said first. */
export type Opening =
  | { readonly kind: 'answer'; readonly answer: NodeAnswer }
  /** It did not come to an answer of the upstream; `late`: that took its request and let its time pass. */
  | { readonly kind: 'failed'; readonly failure: 'connect' | 'first-byte' }
  /** By no fault of the node that counts: the client's own, or an answer that none gets. */
  | { readonly kind: 'refused'; readonly error: FederationError };

/** The answer of an upstream, of which nothing is read until `read`. */
export interface NodeAnswer {
  readonly status: number;
  /** Names and values by turns. */
  readonly headers: RawHeaders;
  /** How long its node waited for a connection to the upstream; null where it does not say. */
  readonly connectMs: number | null;
  read(reader: AnswerReader): void;
  /** No data until `resume`, save what is on its way. */
  pause(): void;
  resume(): void;
  /** Ends it at the upstream, too; then its reader hears nothing more. */
  giveUp(): void;
}

export interface AnswerReader {
  data(chunk: Buffer): void;
  /** `isWhole`: whether all of it came, as was proved. */
  end(isWhole: boolean): void;
}

export interface Opened {
  readonly opening: Promise<Opening>;
  /** Ends it at the upstream, too. */
  giveUp(): void;
}

/** Time for the first sign of an answer, before the node is asked whether it lives. */
const SIGN_MS = 1000;
/** Bytes of a body behind which the question would wait on a slow line. */
const QUICK_BODY_BYTES = 1 << 20;

const END_STREAM = 0x1;

const givenUp = (): FederationError => new FederationError('MODEL_UNAVAILABLE', 'the request was given up');

/** Asks one node by its link. It never rejects. */
export function openAttempt(
  link: Link,
  headers: OutgoingHttpHeaders,
  parts: readonly Buffer[],
  body: ModelBody,
): Opened {
  const { promise, resolve } = Promise.withResolvers<Opening>();
  let stream: ClientHttp2Stream;
  try {
    stream = link.request(headers, { endStream: body.length === 0 });
  } catch (cause) {
    return { opening: Promise.resolve(notSent(cause)), giveUp: () => undefined };
  }
  const doubt = body.bytes.length > QUICK_BODY_BYTES ? null : setTimeout(() => void askWhetherAlive(), SIGN_MS).unref();

  function settle(opening: Opening): void {
    if (doubt !== null) clearTimeout(doubt);
    resolve(opening);
  }
  async function askWhetherAlive(): Promise<void> {
    if (await isAlive(link)) return;
    settle({ kind: 'failed', failure: 'connect' });
    stream.destroy(givenUp());
  }

  // Of a stream that is over, Node throws away what nobody asked for, unless it was told to wait.
  stream.pause();
  stream.once('response', (fields: IncomingHttpHeaders & { ':status'?: number }, flags: number, raw?: string[]) => {
    const own = fields[FAILURE_HEADER];
    if (own !== undefined) {
      stream.resume();
      return settle({ kind: 'failed', failure: own === 'first-byte' ? 'first-byte' : 'connect' });
    }
    const status = fields[':status'] ?? 502;
    if (leadsElsewhere(status)) {
      settle({ kind: 'refused', error: sendsElsewhere(status) });
      return void stream.destroy(givenUp());
    }
    const isEmpty = (flags & END_STREAM) !== 0;
    settle({
      kind: 'answer',
      answer: nodeAnswer(stream, status, raw ?? [], { isEmpty, connectMs: connectMsOf(fields[CONNECT_HEADER]) }),
    });
  });
  stream.once('close', () => {
    settle({ kind: 'failed', failure: 'connect' });
    forgetListeners(stream);
  });
  send(stream, parts, body, (error) => {
    settle({ kind: 'refused', error });
    stream.destroy(error);
  });
  return {
    opening: promise,
    giveUp() {
      if (!stream.destroyed) stream.destroy(givenUp());
    },
  };
}

function sendsElsewhere(status: number): FederationError {
  return new FederationError('UPSTREAM_FAILED', `the model server sends elsewhere (${status}), which is not followed`, {
    hint: 'look at the path of the request, and on its node at baseUrl in models.yaml',
  });
}

/** A link that is gone takes nothing; what else is not taken, no link would take. */
function notSent(cause: unknown): Opening {
  if (cause instanceof FederationError) return { kind: 'failed', failure: 'connect' };
  return { kind: 'refused', error: new FederationError('USAGE', 'the headers can’t be passed on', { cause }) };
}

function send(
  stream: ClientHttp2Stream,
  parts: readonly Buffer[],
  { flow, length }: ModelBody,
  onFault: (error: FederationError) => void,
): void {
  if (length === 0) return;
  if (flow !== null) {
    const flowing = flow(parts, onFault);
    flowing.once('close', () => {
      if (!flowing.readableEnded && !stream.destroyed) onFault(new FederationError('USAGE', 'the request broke off'));
    });
    flowing.pipe(stream);
    return;
  }
  for (const part of parts.slice(0, -1)) stream.write(part);
  stream.end(parts.at(-1));
}

/** By a node’s own word, so within what can be. */
function connectMsOf(said: string | string[] | undefined): number | null {
  return typeof said === 'string' && /^\d{1,6}(?:\.\d)?$/.test(said) ? Number(said) : null;
}

function nodeAnswer(
  stream: ClientHttp2Stream,
  status: number,
  headers: RawHeaders,
  { isEmpty, connectMs }: { readonly isEmpty: boolean; readonly connectMs: number | null },
): NodeAnswer {
  const said = headerOf(headers, 'content-length');
  const length = said === null ? null : Number(said);
  let bytes = 0;
  let isProved = isEmpty;
  let isOver = false;
  stream.once('trailers', (trailers: IncomingHttpHeaders) => {
    isProved ||= trailers[WHOLE_HEADER] !== undefined;
  });
  return {
    status,
    headers,
    connectMs,
    read(reader) {
      const end = (isWhole: boolean): void => {
        if (isOver) return;
        isOver = true;
        reader.end(isWhole);
      };
      // One without a body is over without having been read.
      if (stream.readableEnded) return queueMicrotask(() => end(isProved || bytes === length));
      if (stream.destroyed) return queueMicrotask(() => end(isEmpty));
      stream.on('data', (chunk: Buffer) => {
        if (isOver) return;
        bytes += chunk.length;
        reader.data(chunk);
      });
      stream.once('end', () => end(isProved || bytes === length));
      stream.once('close', () => end(false));
      stream.resume();
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    giveUp() {
      isOver = true;
      if (!stream.destroyed) stream.destroy(givenUp());
    },
  };
}
