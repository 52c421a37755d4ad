import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Send, SendFailure, Sending, Sent } from '#src/core/models/sending.ts';
import type { FederationError } from '#src/core/errors.ts';
import type { RawHeaders } from '#src/core/models/headers.ts';
import { leadsElsewhere } from '#src/core/models/headers.ts';
import { spliceModel } from '#src/core/models/request.ts';
import { answerTo } from '#src/link/models/answer.ts';
import type { ModelBody } from '#src/link/models/body.ts';

/** A body as it is sent. */
export interface SentBody {
  readonly body: Buffer | Readable | null;
  /** Bytes of a body that flows; null where that is not known. */
  readonly length: number | null;
}

/** Where a request of this machine goes. */
export interface Carriage {
  readonly send: Send;
  readonly body: ModelBody;
  /** What its model is called there; null: as it is. */
  readonly model: string | null;
  readonly sending: (body: SentBody) => Sending;
  /** Told of each part of an answer that was good, on its way. */
  readonly seen?: (chunk: Buffer) => void;
  /** Those that the client gets of the answer's. */
  readonly headers: (raw: RawHeaders) => readonly string[];
  /** What the client is told where no answer came. */
  readonly failed: (failure: SendFailure) => FederationError;
  /** Aborted when nothing more will come of it. */
  readonly lost?: AbortSignal;
}

/** Sends it, and lets the answer pass. Resolves when it is over; rejects where nothing of an answer was sent. */
export function carryAnswer(response: ServerResponse, to: Carriage): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let isBegun = false;
  let isSeen = false;
  let sent: Sent | null = null;
  const answer = answerTo(
    response,
    () => sent?.resume(),
    () => stop(),
  );

  function stop(): void {
    sent?.abort();
    to.lost?.removeEventListener('abort', onLost);
    resolve();
  }
  function onLost(): void {
    giveUp(to.failed({ kind: 'connect', problem: 'the link was lost' }));
  }
  function giveUp(error: FederationError): void {
    if (isBegun) answer.cut();
    else reject(error);
    stop();
  }

  sent = to.send(to.sending(sentBody(to, giveUp)), {
    head(status, reason, raw) {
      if (leadsElsewhere(status)) return giveUp(to.failed({ kind: 'connect', problem: `sends elsewhere (${status})` }));
      isBegun = true;
      isSeen = status === 200 && to.seen !== undefined;
      try {
        answer.head(status, reason, to.headers(raw));
      } catch {
        // What the server calls a header is none.
        isBegun = false;
        giveUp(to.failed({ kind: 'connect', problem: 'a header is none' }));
      }
    },
    data(chunk) {
      if (isSeen) to.seen?.(chunk);
      if (!answer.data(chunk)) sent?.pause();
    },
    end() {
      answer.end();
      stop();
    },
    fail: (failure) => giveUp(to.failed(failure)),
  });
  to.lost?.addEventListener('abort', onLost, { once: true });
  return promise;
}

function sentBody({ body, model }: Carriage, onFault: (error: FederationError) => void): SentBody {
  const parts =
    model === null || model === body.facts.model ? [body.bytes] : spliceModel(body.bytes, body.facts, model);
  if (body.flow === null) {
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    return { body: bytes.length === 0 ? null : bytes, length: null };
  }
  const grown = parts.reduce((sum, part) => sum + part.length, 0) - body.bytes.length;
  return { body: body.flow(parts, onFault), length: body.length === null ? null : body.length + grown };
}
