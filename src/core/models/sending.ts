/** A body that flows: a readable stream of Node’s. */
export type Flow = NodeJS.ReadableStream & { readonly readableEnded: boolean };

/** One request to a server that speaks HTTP/1.1. */
export interface Sending {
  /** `http://127.0.0.1:11434` */
  readonly origin: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Names and values by turns. Without Content-Length: it follows from the body, or is `length`. */
  readonly headers: readonly string[];
  readonly body: Buffer | Flow | null;
  /** Bytes of a body that flows; null where that is not known. */
  readonly length: number | null;
  readonly timeouts: SendTimeouts;
}

/** Milliseconds. */
export interface SendTimeouts {
  readonly connectMs: number;
  /** From the end of the request to the first byte of the answer. */
  readonly firstByteMs: number;
  /** Between two parts of the answer; comments that only keep a stream of events alive are none. */
  readonly idleMs: number;
  /** Null: as long as it takes. */
  readonly totalMs: number | null;
}

/** `connect`: it took no request, or broke off before it answered; `first-byte`: no answer in time; `truncated`: it broke off in it. */
export interface SendFailure {
  readonly kind: 'connect' | 'first-byte' | 'truncated';
  /** A code as ECONNREFUSED, for a log. */
  readonly problem: string;
}

/** What comes of it: a head, data and an end; or a failure at any time, and nothing behind it. Nothing once it is aborted. */
export interface Receiver {
  /** Told when there is a connection to the server, and how many milliseconds that took. */
  connected?(milliseconds: number): void;
  /** Header names and values by turns, as they came. */
  head(status: number, reason: string, headers: string[]): void;
  data(chunk: Buffer): void;
  end(): void;
  fail(failure: SendFailure): void;
}

export interface Sent {
  /** No data until `resume`, save what is on its way. */
  pause(): void;
  resume(): void;
  /** Ends it and its connection. */
  abort(): void;
}

export type Send = (sending: Sending, receiver: Receiver) => Sent;
