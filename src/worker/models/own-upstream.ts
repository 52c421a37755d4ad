import type { Readable } from 'node:stream';
import type { Sending } from '#src/core/models/sending.ts';
import { upstreamPath } from '#src/core/models/endpoint.ts';
import type { RawHeaders } from '#src/core/models/headers.ts';
import { withHeaders } from '#src/core/models/headers.ts';
import type { Way } from '#src/core/models/way.ts';
import { mayLeadBack } from '#src/core/models/way.ts';
import { MODEL_HEADERS } from '#src/protocol/models.ts';
import type { Upstream } from '#src/worker/models/share.ts';

/** A request as it goes on to a model server of this node. */
export interface UpstreamAsk {
  readonly method: string;
  /** Path below `/v1`, with its query. */
  readonly url: string;
  /** Without those of a hop, credentials and ours. */
  readonly headers: RawHeaders;
  readonly body: Buffer | Readable | null;
  /** Bytes of a body that flows; null where that is not known. */
  readonly length: number | null;
  /** With this node. */
  readonly way: Way;
}

interface Place {
  readonly origin: string;
  readonly path: string;
  readonly isTold: boolean;
  /** Whether it has headers of its own. */
  readonly sets: boolean;
}

const places = new WeakMap<Upstream, Place>();

/** With the upstream's own key. Where it could be a federation itself, it is told the way that the request came by. */
export function sendingTo(upstream: Upstream, ask: UpstreamAsk): Sending {
  const { origin, path, isTold, sets } = placeOf(upstream);
  const { hops, via } = ask.way;
  const headers = sets ? withHeaders(ask.headers, upstream.headers) : [...ask.headers];
  if (isTold) headers.push(MODEL_HEADERS.hops, String(hops), MODEL_HEADERS.via, via.join(','));
  return {
    origin,
    method: ask.method,
    path: upstreamPath(path, ask.url),
    headers,
    body: ask.body,
    length: ask.length,
    timeouts: upstream.timeouts,
  };
}

function placeOf(upstream: Upstream): Place {
  const known = places.get(upstream);
  if (known !== undefined) return known;
  const { origin, pathname, hostname } = new URL(upstream.baseUrl);
  const place = {
    origin,
    path: pathname.replace(/\/+$/, ''),
    isTold: mayLeadBack(hostname),
    sets: Object.keys(upstream.headers).length > 0,
  };
  places.set(upstream, place);
  return place;
}
