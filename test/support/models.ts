import { EventEmitter } from 'node:events';
import type { Member } from '#src/core/member.ts';
import type { ModelRoute, OfferedModel } from '#src/core/models/catalog.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Offers } from '#src/hub/models/offers.ts';
import { createOffers } from '#src/hub/models/offers.ts';
import type { AttemptEnd, ModelAsk, Router } from '#src/hub/models/router.ts';
import { createRouter } from '#src/hub/models/router.ts';
import type { Link } from '#src/link/accept.ts';
import { aMember } from './member.ts';

export function anOffer(changed: Partial<OfferedModel> = {}): OfferedModel {
  const id = changed.id ?? 'llama';
  return { id, upstream: 'ollama', name: id, api: 'openai', concurrency: 4, ...changed };
}

export function anAsk(changed: Partial<ModelAsk> = {}): ModelAsk {
  return {
    ...{ endpoint: '/v1/chat/completions', model: 'llama', node: null, bytes: 1000, affinity: [], via: [], hops: 0 },
    consumer: { kind: 'operator', name: 'ann' },
    ...changed,
  };
}

export function ended(changed: Partial<AttemptEnd> = {}): AttemptEnd {
  return { failure: null, status: 200, retryAfterMs: null, firstByteMs: 10, totalMs: 20, ...changed };
}

export const NOBODY: ReadonlySet<string> = new Set();
export const NEVER = new AbortController().signal;

export interface Site {
  readonly router: Router;
  readonly offers: Offers;
  readonly fleet: Fleet;
  /** What was asked of the links. */
  readonly requests: string[];
  /** Moves the clock on. */
  pass(milliseconds: number): void;
  now(): number;
  /** A member with a link, that offers this. */
  join(name: string, models: readonly OfferedModel[], changed?: Partial<Member>): Member;
  /** The member as it is from now on. */
  change(name: string, changed: Partial<Member>): void;
  leave(name: string): void;
  suspect(name: string): void;
  route(route: Pick<ModelRoute, 'alias' | 'model'> & Partial<ModelRoute>): void;
  lockDown(why: string | null): void;
}

export interface SiteOptions {
  readonly queueMs?: number;
  readonly signal?: AbortSignal;
  /** Whether an upstream answers when it is probed. */
  readonly isWell?: (nodeName: string) => boolean;
}

/** A router with nodes that are only spoken of, and a clock that a test moves. */
export function aSite({ queueMs = 1_000_000, signal = NEVER, isWell = () => true }: SiteOptions = {}): Site {
  let time = 1000;
  let members: ReadonlyMap<string, Member> = new Map();
  let denial: string | null = null;
  const links = new Map<string, Link & { state: Link['state'] }>();
  const routes = new Map<string, ModelRoute>();
  const requests: string[] = [];
  const changes: Fleet['changes'] = new EventEmitter();
  let generation = 0;
  const [routeListeners, denyListeners]: [(() => void)[], (() => void)[]] = [[], []];

  const fleet: Fleet = {
    add: () => undefined,
    link: (nodeId) => links.get(nodeId),
    links: () => links.values(),
    state: (member) => links.get(member.id)?.state ?? 'offline',
    take: () => undefined,
    changes,
    close: () => Promise.resolve(),
  };
  const offers = createOffers({ fleet, mayOffer: (id) => members.get(id)?.grantedModels === true, now: () => time });
  const router = createRouter({
    ...{ fleet, members: () => members, offers, signal, queueMs },
    routes: {
      list: () => [...routes.values()],
      find: (alias) => routes.get(alias),
      onChange: (listener) => void routeListeners.push(listener),
    },
    denied: () => denial,
    onDenied: (listener) => void denyListeners.push(listener),
    now: () => time,
  });

  const idOf = (name: string) => [...members.values()].find((member) => member.name === name)!.id;

  return {
    ...{ router, offers, fleet, requests },
    pass: (milliseconds) => void (time += milliseconds),
    now: () => time,
    join(name, models, changed = {}) {
      const id = changed.id ?? Buffer.from(name).toString('hex').padEnd(64, '0');
      const member = aMember({ ...changed, id, name });
      members = new Map(members).set(id, member);
      const link = fakeLink(id, ++generation, (path) => {
        requests.push(path);
        return isWell(name);
      });
      links.set(id, link);
      changes.emit('up', link);
      offers.put(id, generation, models);
      return member;
    },
    change(name, changed) {
      const id = idOf(name);
      members = new Map(members).set(id, { ...members.get(id)!, ...changed });
      offers.judge(id);
    },
    leave(name) {
      const link = links.get(idOf(name))!;
      links.delete(link.nodeId);
      changes.emit('down', link);
    },
    suspect(name) {
      const link = links.get(idOf(name))!;
      link.state = 'suspect';
      changes.emit('state', link);
    },
    route(route) {
      routes.set(route.alias, { nodes: [], labels: {}, createdAt: 0, createdBy: 'test', ...route });
      for (const listener of routeListeners) listener();
    },
    lockDown(why) {
      denial = why;
      for (const listener of denyListeners) listener();
    },
  };
}

function fakeLink(
  nodeId: string,
  generation: number,
  probe: (path: string) => boolean,
): Link & { state: Link['state'] } {
  const { promise: closed } = Promise.withResolvers<never>();
  return {
    ...{ nodeId, generation, address: '127.0.0.1', state: 'online', roundTripMs: 1, closed },
    facts: aMember().facts,
    request(headers) {
      const isWell = probe(String(headers[':path']));
      const stream = Object.assign(new EventEmitter(), { destroy: () => undefined });
      const answer = isWell ? {} : { 'x-federation-failure': 'connect' };
      queueMicrotask(() => stream.emit('response', { ':status': isWell ? 200 : 502, ...answer }));
      return stream as unknown as ReturnType<Link['request']>;
    },
    close: () => undefined,
    onState: () => undefined,
  };
}

/** One request from its choice to its end. */
export async function serve(site: Site, ask: ModelAsk = anAsk(), end: AttemptEnd = ended()): Promise<string> {
  const attempt = await site.router.next(ask, NOBODY, NEVER);
  attempt.end(end);
  return attempt.node.name;
}
