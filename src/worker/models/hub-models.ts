import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Send, Sending } from '#src/core/models/sending.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import { mergeFacts } from '#src/core/models/facts.ts';
import { requestHeaders, responseHeaders } from '#src/core/models/headers.ts';
import type { ModelBody } from '#src/link/models/body.ts';
import type { KnownModel } from '#src/protocol/models.ts';
import { knownModelsSchema, MODEL_HEADERS, modelList } from '#src/protocol/models.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import type { Carriage } from '#src/link/models/carriage.ts';

export interface HubModelsOptions {
  readonly hub: HubAddress;
  readonly session: () => HubSession | null;
  readonly send: Send;
}

/** The models of the federation, as this node has them from its hub. */
export interface HubModels {
  /** Sends a request there. Throws HUB_UNREACHABLE where there is no link. */
  carriage(request: IncomingMessage, body: ModelBody): Carriage;
  /** This node's own models, and behind them those of the hub while it answers: the answer of GET /v1/models. */
  list(own: readonly OfferedModel[], name: string): Promise<ModelListing>;
}

export interface ModelListing {
  readonly object: 'list';
  readonly data: readonly KnownModel[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** Of ours, what a client may say to the hub. */
const CLIENTS = [MODEL_HEADERS.node, MODEL_HEADERS.session, MODEL_HEADERS.hops, MODEL_HEADERS.via];
/** The hub sees to it that no model takes too long, and its link that it lives. */
const PATIENT = { connectMs: 1500, firstByteMs: 2 ** 31 - 1, idleMs: 2 ** 31 - 1, totalMs: null };
const LIST_TIMEOUTS = { connectMs: 1500, firstByteMs: 2000, idleMs: 2000, totalMs: 4000 };
const MAX_LIST_BYTES = 8 << 20;
/** How long a stream outlives the link beside which it goes: as long as the credential that it came by. */
const GRACE_MS = 60_000;

export function createHubModels({ hub, session, send }: HubModelsOptions): HubModels {
  function sessionNow(): HubSession {
    const now = session();
    if (now !== null) return now;
    throw new FederationError('HUB_UNREACHABLE', 'this node has no such model itself, and no link to the hub', {
      hint: 'manage-federation status',
    });
  }

  function sendingTo(
    { address, credential }: HubSession,
    method: string,
    path: string,
    headers: readonly string[],
  ): Sending {
    return {
      origin: `http://${hubAddressText({ host: address, port: hub.port })}`,
      method,
      path,
      headers: [...headers, 'host', hubAddressText(hub), 'authorization', `Bearer ${credential}`],
      body: null,
      length: null,
      timeouts: PATIENT,
    };
  }

  async function fromHub(): Promise<readonly KnownModel[]> {
    const now = session();
    if (now === null || now.lost.aborted) return [];
    const { promise, resolve } = Promise.withResolvers<readonly KnownModel[]>();
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isGood = false;
    const sent = send(
      { ...sendingTo(now, 'GET', '/v1/models', []), timeouts: LIST_TIMEOUTS },
      {
        head: (status) => void (isGood = status === 200),
        data(chunk) {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes <= MAX_LIST_BYTES) return;
          sent.abort();
          resolve([]);
        },
        end: () => resolve(isGood ? modelsIn(Buffer.concat(chunks).toString('utf8')) : []),
        fail: () => resolve([]),
      },
    );
    return promise;
  }

  return {
    carriage(request, body) {
      const now = sessionNow();
      const headers = requestHeaders(request.rawHeaders);
      for (const name of CLIENTS) {
        const value = request.headers[name];
        if (typeof value === 'string') headers.push(name, value);
      }
      const lost = lastingLoss(now, session);
      return {
        send,
        body,
        model: null,
        sending: (sent) => ({ ...sendingTo(now, request.method ?? 'GET', request.url ?? '', headers), ...sent }),
        headers: (raw) => responseHeaders(raw, true),
        failed: () =>
          new FederationError('HUB_UNREACHABLE', 'the hub does not answer', { hint: 'manage-federation status' }),
        lost,
      };
    },
    async list(own, name) {
      const ids = new Set(own.map(({ id }) => id));
      const mine = [...ids].map((id) => {
        const same = own.filter((model) => model.id === id);
        const apis = [...new Set(same.map(({ api }) => api))];
        return { id, kind: 'model' as const, model: id, nodes: [name], apis, facts: mergeFacts(same), loaded: null };
      });
      const others = (await fromHub()).filter(({ id }) => !ids.has(id));
      const data = [...modelList(mine).data, ...others];
      return { ...modelList([]), data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    },
  };
}

/** Of each session once, whatever goes by it: aborted where its link is lost and no other has come in time. */
const losses = new WeakMap<HubSession, AbortSignal>();

function lastingLoss(now: HubSession, session: () => HubSession | null): AbortSignal {
  const known = losses.get(now);
  if (known !== undefined) return known;
  const lasting = new AbortController();
  setMaxListeners(0, lasting.signal);
  const wait = (): void => {
    setTimeout(() => {
      const later = session();
      if (later === null || later.lost.aborted) lasting.abort();
    }, GRACE_MS).unref();
  };
  if (now.lost.aborted) wait();
  else now.lost.addEventListener('abort', wait, { once: true });
  losses.set(now, lasting.signal);
  return lasting.signal;
}

function modelsIn(text: string): readonly KnownModel[] {
  try {
    return knownModelsSchema.parse(JSON.parse(text)).data;
  } catch {
    return [];
  }
}
