import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Refusal } from '#src/core/models/error.ts';
import { headerOf } from '#src/core/models/headers.ts';

/** Where the answer of a model goes: to a client that speaks HTTP/1.1. */
export interface Answer {
  /** Of the body, so far. A method: V8 makes a hidden class of its own for each object with a getter, and keeps it long. */
  bytes(): number;
  /** Header names and values by turns. Throws for what is no head; then nothing of it has left. */
  head(status: number, reason: string | undefined, headers: readonly string[]): void;
  /** False: no more until `onDrain`. */
  data(chunk: Buffer): boolean;
  end(): void;
  /** Ends the connection in the middle of the answer, behind what was given of it: the client is to see that it is not whole. */
  cut(): void;
}

const NOTHING = Buffer.alloc(0);

/** Time for what was given to leave, before the connection of a cut answer is gone. */
const LAST_WORDS_MS = 5000;

/** How long a client may leave what it was given unread: it holds a place at a model server. */
const UNREAD_MS = 300_000;

/**
 * Each part leaves at once. `onGone`: the client went, or was cut, before the whole answer was with it; it is called once
 * at most.
 */
export function answerTo(response: ServerResponse, onDrain: () => void, onGone: () => void): Answer {
  let bytes = 0;
  let isFlushed = false;
  let hasLength = false;
  response.sendDate = false;
  let unread: NodeJS.Timeout | undefined;
  response.on('drain', () => {
    clearTimeout(unread);
    onDrain();
  });
  response.on('error', () => undefined);
  response.once('close', () => {
    clearTimeout(unread);
    if (!response.writableFinished) onGone();
  });

  function flush(): void {
    // `flushHeaders` would write bytes beyond ASCII as UTF-8, which they may not be.
    if (!isFlushed && !response.destroyed) response.write(NOTHING);
  }

  return {
    bytes: () => bytes,
    head(status, reason, headers) {
      const words = reason === undefined || /[^\t -~\x80-\xff]/.test(reason) ? undefined : reason;
      hasLength = headerOf(headers, 'content-length') !== null;
      response.writeHead(status, words, headers as string[]);
      // With the first part of the body where that is here already, which saves a packet; else by itself. HTTP/2 hands a
      // head and what came with it over in several ticks, and all of them are before this.
      setImmediate(flush);
    },
    data(chunk) {
      isFlushed = true;
      bytes += chunk.length;
      const hasRoom = response.write(chunk);
      if (!hasRoom) {
        clearTimeout(unread);
        unread = setTimeout(() => response.destroy(), UNREAD_MS).unref();
      }
      return hasRoom;
    },
    end() {
      isFlushed = true;
      response.end();
    },
    cut() {
      if (response.headersSent) flush();
      isFlushed = true;
      const { socket } = response;
      if (socket === null || socket.destroyed) return;
      // Without chunks and without a length, the end of the connection would be the end of the answer.
      if (!response.chunkedEncoding && !hasLength) {
        socket.resetAndDestroy();
        return;
      }
      socket.destroySoon();
      const late = setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
      socket.once('close', () => clearTimeout(late));
    },
  };
}

/** Time for a client to send the rest of a request that was refused already. */
const DRAIN_MS = 10_000;

/** Answers with the proxy's own words. */
export function refuse(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, headers);
  response.end(request.method === 'HEAD' ? undefined : body);
  if (request.complete) return;
  // Node reads on and throws away, without which some clients would not see the answer.
  const late = setTimeout(() => request.socket.destroy(), DRAIN_MS).unref();
  request.once('close', () => clearTimeout(late));
}

/** Answers with JSON of the proxy itself. */
export function answerJson(request: IncomingMessage, response: ServerResponse, value: object): void {
  const body = Buffer.from(JSON.stringify(value));
  refuse(request, response, {
    status: 200,
    headers: ['content-type', 'application/json', 'content-length', String(body.length)],
    body,
  });
}
