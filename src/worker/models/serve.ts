import type { IncomingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2';
import type { Log } from '#src/adapters/log.ts';
import type { Receiver, Send, SendFailure, Sent } from '#src/core/models/sending.ts';
import { FederationError } from '#src/core/errors.ts';
import { endpointOf, isModelUrl, isPlainEndpoint } from '#src/core/models/endpoint.ts';
import type { RawHeaders } from '#src/core/models/headers.ts';
import { headerOf, requestHeaders, responseHeaders } from '#src/core/models/headers.ts';
import { wayOf } from '#src/core/models/way.ts';
import { toHttp2 } from '#src/link/models/http2-headers.ts';
import { forgetListeners } from '#src/link/models/over.ts';
import { CONNECT_HEADER, FAILURE_HEADER, MODEL_HEADERS, MODELS_PATH, WHOLE_HEADER } from '#src/protocol/models.ts';
import type { ModelFailure } from '#src/protocol/models.ts';
import { sendingTo } from '#src/worker/models/own-upstream.ts';
import type { Shares, Upstream } from '#src/worker/models/share.ts';

export interface ModelServingOptions {
  readonly shares: Shares;
  readonly send: Send;
  readonly nodeId: () => string;
  readonly log: Log;
}

/** This node's models, for those who ask by the link. */
export interface ModelServing {
  /** Answers a request below `/models/`. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: RawHeaders): void;
  /** Ends what is under way. */
  endAll(): void;
}

/** Longest body that is awaited, which is quicker to send than one that flows. */
const AWAITED_BYTES = 1 << 20;

/**
 *     ANY  /models/{upstream}/v1/…   the upstream's answer, or one with FAILURE_HEADER
 *     HEAD /models/                  204: this node lives
 */
export function createModelServing({ shares, send, nodeId, log }: ModelServingOptions): ModelServing {
  const open = new Set<ServerHttp2Stream>();

  function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: RawHeaders): void {
    stream.on('error', () => undefined);
    const path = headers[':path'] ?? '';
    if (path === MODELS_PATH) return stream.respond({ ':status': 204 }, { endStream: true });
    const [, name, url] = /^\/models\/([a-z0-9._-]{1,63})(\/v1\/.*)$/.exec(path) ?? [];
    const upstream = name === undefined ? undefined : shares.upstream(name);
    if (upstream === undefined || url === undefined || !isModelUrl(url) || !isPlainEndpoint(endpointOf(url))) {
      return answerGone(stream);
    }
    if (stream.endAfterHeaders) return relay(stream, upstream, headers[':method'] ?? 'GET', url, raw, null, null);
    const length = lengthOf(headers);
    if (length === null || length > AWAITED_BYTES) {
      return relay(stream, upstream, headers[':method'] ?? 'POST', url, raw, stream, length);
    }
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      // What ends before its length was broken off.
      if (body.length === length) relay(stream, upstream, headers[':method'] ?? 'POST', url, raw, body, null);
      else stream.destroy(new FederationError('USAGE', 'the request broke off'));
    });
  }

  function relay(
    stream: ServerHttp2Stream,
    upstream: Upstream,
    method: string,
    url: string,
    raw: readonly string[],
    body: Buffer | ServerHttp2Stream | null,
    length: number | null,
  ): void {
    const { hops, via } = wayOf(headerOf(raw, MODEL_HEADERS.hops), headerOf(raw, MODEL_HEADERS.via));
    const way = { hops, via: [...via, nodeId()] };
    const onFailure = ({ kind, problem }: SendFailure): void => {
      log.warn('a model server failed', { upstream: upstream.name, failure: kind, problem });
    };
    let sent: Sent | null = null;
    const receiver = receiverFor(stream, method, () => sent?.pause(), onFailure);
    sent = send(sendingTo(upstream, { method, url, headers: requestHeaders(raw), body, length, way }), receiver);
    open.add(stream);
    stream.on('drain', () => sent.resume());
    stream.once('close', () => {
      open.delete(stream);
      sent.abort();
      forgetListeners(stream);
    });
  }

  return {
    serve,
    endAll() {
      const error = new FederationError('LOCKED_DOWN', 'this node serves no models now');
      for (const stream of open) stream.destroy(error);
    },
  };
}

function receiverFor(
  stream: ServerHttp2Stream,
  method: string,
  onFull: () => void,
  onFailure: (failure: SendFailure) => void,
): Receiver {
  const canAnswer = (): boolean => !stream.destroyed && !stream.closed;
  let connectMs = 0;
  return {
    connected: (milliseconds) => void (connectMs = milliseconds),
    head(status, _reason, raw) {
      if (!canAnswer()) return;
      const headers = responseHeaders(raw, false);
      const endStream = method === 'HEAD' || status === 204 || status === 304;
      // The end of a stream proves nothing by itself: either its length does, or what follows it.
      const waitForTrailers = !endStream && headerOf(headers, 'content-length') === null;
      if (waitForTrailers) stream.once('wantTrailers', () => stream.sendTrailers({ [WHOLE_HEADER]: 'yes' }));
      // Node knows `sendDate` here too, its types do not.
      const options: ServerStreamResponseOptions & { sendDate: false } = {
        endStream,
        waitForTrailers,
        sendDate: false,
      };
      stream.respond(toHttp2(headers, { ':status': status, [CONNECT_HEADER]: connectMs.toFixed(1) }), options);
    },
    data(chunk) {
      if (canAnswer() && !stream.write(chunk)) onFull();
    },
    end() {
      if (canAnswer()) stream.end();
    },
    fail(failure) {
      onFailure(failure);
      if (!canAnswer()) return;
      if (stream.headersSent) breakOff(stream);
      else
        answerFailure(
          stream,
          failure.kind === 'first-byte' ? 504 : 502,
          failure.kind === 'first-byte' ? 'first-byte' : 'connect',
        );
    },
  };
}

/** Time for what was written to leave, before the stream of an answer that broke off is gone. */
const LAST_WORDS_MS = 5000;

/** With an error: without one the other side would take it for the end. */
function breakOff(stream: ServerHttp2Stream): void {
  const error = new FederationError('UPSTREAM_FAILED', 'the model server broke off its answer');
  const late = setTimeout(() => stream.destroy(error), LAST_WORDS_MS).unref();
  stream.once('close', () => clearTimeout(late));
  stream.write(Buffer.alloc(0), () => stream.destroy(error));
}

/** Tells the hub to ask another node: this one serves no such model now. */
export function answerGone(stream: ServerHttp2Stream): void {
  answerFailure(stream, 503, 'gone');
}

function answerFailure(stream: ServerHttp2Stream, status: number, failure: ModelFailure): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.resume();
  stream.respond({ ':status': status, [FAILURE_HEADER]: failure }, { endStream: true });
}

function lengthOf(headers: IncomingHttpHeaders): number | null {
  const text = headers['content-length'];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
