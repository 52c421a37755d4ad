import type { OutgoingHttpHeaders } from 'node:http';
import type { RawHeaders } from '#src/core/models/headers.ts';
import { responseHeaders } from '#src/core/models/headers.ts';
import { spliceModel } from '#src/core/models/request.ts';
import type { Attempt, ModelAsk } from '#src/hub/models/router.ts';
import type { ModelBody } from '#src/link/models/body.ts';
import { toHttp2 } from '#src/link/models/http2-headers.ts';
import { MODEL_HEADERS, MODELS_PATH } from '#src/protocol/models.ts';

/** A request that was let in. */
export interface RelayAsk {
  readonly ask: ModelAsk;
  readonly method: string;
  /** Path with its query. */
  readonly url: string;
  /** Without those of a hop, credentials and ours. */
  readonly headers: RawHeaders;
  readonly body: ModelBody;
  /** Monotonic milliseconds at which it came. */
  readonly cameAt: number;
}

/** Its body as the node's upstream is to read it, to be sent one part behind the other. */
export function partsFor(body: ModelBody, { offered }: Attempt): readonly Buffer[] {
  const { model, models } = body.facts;
  return model === null || models.length === 0 || model === offered.name
    ? [body.bytes]
    : spliceModel(body.bytes, body.facts, offered.name);
}

/** Of the stream that asks the node. */
export function headersToNode(
  { ask, method, url, headers, body }: RelayAsk,
  attempt: Attempt,
  parts: readonly Buffer[],
): OutgoingHttpHeaders {
  const to: OutgoingHttpHeaders = {
    ':method': method,
    ':path': `${MODELS_PATH}${attempt.offered.upstream}${url}`,
    [MODEL_HEADERS.hops]: String(ask.hops + 1),
  };
  if (ask.via.length > 0) to[MODEL_HEADERS.via] = ask.via.join(',');
  if (body.length !== null && body.length > 0) {
    const sent = parts.reduce((bytes, part) => bytes + part.length, 0);
    to['content-length'] = String(body.length - body.bytes.length + sent);
  }
  return toHttp2(headers, to);
}

/** The upstream's own, and ours: who served it, and what of the time was not the upstream's (`ownMs`). */
export function headersToClient(headers: RawHeaders, attempt: Attempt, attempts: number, ownMs: number): string[] {
  const { node, offered, position, waitedMs } = attempt;
  const queued = position === null ? '' : `, queue;dur=${waitedMs.toFixed(2)};desc="${position}"`;
  const passed = responseHeaders(headers, false);
  passed.push(MODEL_HEADERS.node, node.name, MODEL_HEADERS.model, offered.id);
  passed.push(MODEL_HEADERS.attempts, String(attempts), 'server-timing', `federation;dur=${ownMs.toFixed(2)}${queued}`);
  return passed;
}
