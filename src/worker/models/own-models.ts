import { FederationError } from '#src/core/errors.ts';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import { apiOf } from '#src/core/models/endpoint.ts';
import type { Shares, Upstream } from '#src/worker/models/share.ts';

/** What a request wants, as far as it decides whether this node serves it itself. */
export interface OwnAsk {
  readonly endpoint: string;
  readonly model: string | null;
  /** The node, or `node/upstream`, that a header pins. */
  readonly pin: string | null;
}

export interface OwnModel {
  readonly upstream: Upstream;
  /** Null for a request without a model. */
  readonly offered: OfferedModel | null;
}

/**
 * This node's own model server for a request; null where another node is meant, or only the hub can tell. Throws
 * MODEL_NOT_FOUND where this node is meant and has none that fits.
 */
export function ownModel(
  shares: Shares,
  node: { readonly name: string; readonly id: string },
  ask: OwnAsk,
): OwnModel | null {
  const [pinned = null, upstreamName] = ask.pin?.split('/', 2) ?? [];
  if (pinned !== null && pinned !== node.name && pinned !== node.id) return null;
  const offered = shares.offered().filter(({ upstream }) => upstreamName === undefined || upstream === upstreamName);
  const { model } = ask;
  if (model === null) return pinned === null ? null : withoutModel(shares, offered, ask);
  const own = `${node.name}/`;
  const fitting = offered.filter(({ id }) => id === model || (model.startsWith(own) && id === model.slice(own.length)));
  const best = fitting.toSorted((a, b) => strangeness(a, ask) - strangeness(b, ask))[0];
  const upstream = best === undefined ? undefined : shares.upstream(best.upstream);
  if (best !== undefined && upstream !== undefined) return { upstream, offered: best };
  if (pinned === null) return null;
  throw new FederationError('MODEL_NOT_FOUND', `${node.name} has no model ${JSON.stringify(model)}`, {
    hint: 'GET /v1/models lists them',
  });
}

/** The one upstream that can be meant. */
function withoutModel(shares: Shares, offered: readonly OfferedModel[], { endpoint }: OwnAsk): OwnModel {
  const names = new Set(offered.map(({ upstream }) => upstream));
  const ofApi = new Set(offered.filter(({ api }) => api === apiOf(endpoint)).map(({ upstream }) => upstream));
  const [name, ...others] = names.size > 1 ? ofApi : names;
  const upstream = name === undefined ? undefined : shares.upstream(name);
  if (upstream !== undefined && others.length === 0) return { upstream, offered: null };
  throw new FederationError('MODEL_NOT_FOUND', 'it is not clear which model server of this node is meant', {
    hint: 'name it in x-federation-node: NODE/UPSTREAM',
  });
}

/** The model server whose language the endpoint is comes first. */
function strangeness({ api, endpoints }: OfferedModel, { endpoint }: OwnAsk): number {
  if (endpoints !== undefined)
    return endpoints.some((known) => endpoint === known || endpoint.startsWith(`${known}/`)) ? 0 : 2;
  return api === apiOf(endpoint) ? 0 : 1;
}
