import type { Consumer } from '#src/core/models/key.ts';
import type { OfferedModel } from '#src/core/models/catalog.ts';
import { createSender } from '#src/adapters/models/upstream.ts';
import { createLog } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Attempt, AttemptEnd, ModelAsk, Router } from '#src/hub/models/router.ts';
import { createModelProxy } from '#src/hub/models/proxy.ts';
import type { UsageRecord } from '#src/hub/models/usage.ts';
import { listenOnTcp, refuseUpgrade } from '#src/hub/listening/listeners.ts';
import type { Link } from '#src/link/link.ts';
import { createBodyReader } from '#src/link/models/body.ts';
import { createHubModels } from '#src/worker/models/hub-models.ts';
import { startModelProxy } from '#src/worker/models/proxy.ts';
import type { ModelServing } from '#src/worker/models/serve.ts';
import { createModelServing } from '#src/worker/models/serve.ts';
import type { Shares, Upstream } from '#src/worker/models/share.ts';
import { startHub, startNode, until } from './link.ts';
import type { TestHub, TestNode } from './link.ts';

/** Patient enough for a loaded machine, and no more than a test can wait. */
export const PATIENCE = { connectMs: 1500, firstByteMs: 20_000, idleMs: 20_000, totalMs: null };

/** A model that one of the nodes of a chain has. */
export interface ChainModel {
  readonly id: string;
  /** At the upstream; the same as `id` where it is not given. */
  readonly name?: string;
}

export interface ChainNode {
  /** Ends with /v1. */
  readonly baseUrl: string;
  readonly models: readonly ChainModel[];
  /** With what it proves itself there. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeouts?: Upstream['timeouts'];
}

/** A place at which a client may ask: where, and the key that it needs. */
export interface Entrance {
  readonly port: number;
  readonly key: string;
}

/**
 * The model proxy as it is carried out, in one process: a hub with its listener, a worker daemon for each node on a real
 * link of its own, and one daemon without models. The router is a fake that tries the nodes in their order.
 */
export interface ModelChain extends AsyncDisposable {
  /** Of the first node: one proxy to its own upstream. */
  readonly own: Entrance;
  /** Of the hub: two proxies. */
  readonly hub: Entrance;
  /** Of the node without models: three proxies. */
  readonly far: Entrance;
  readonly links: readonly Link[];
  readonly nodes: readonly TestNode[];
  /** All that the router was told, in its order. */
  readonly ends: readonly AttemptEnd[];
  readonly asks: readonly ModelAsk[];
  readonly records: readonly UsageRecord[];
  readonly logs: readonly string[];
  /** Takes the place of the order of the nodes. */
  choose: (ask: ModelAsk, excluded: ReadonlySet<string>, signal: AbortSignal) => Promise<number>;
  /** In the line, of every request. */
  position: number | null;
  /** Whether the keys have budgets of tokens. */
  countsTokens: boolean;
}

const KEY = 'k'.repeat(43);

export async function modelChain(nodes: readonly ChainNode[]): Promise<ModelChain> {
  const logs: string[] = [];
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void logs.push(line) });
  const sender = createSender();
  const linkHub = await startHub();
  const ends: AttemptEnd[] = [];
  const asks: ModelAsk[] = [];
  const records: UsageRecord[] = [];
  const members: Member[] = [];
  const links: Link[] = [];
  const testNodes: TestNode[] = [];
  const closers: (() => Promise<unknown>)[] = [];

  for (const [at, node] of nodes.entries()) {
    const shares = sharesOf(node);
    const serving = createModelServing({ shares, send: sender.send, nodeId: () => members[at]!.id, log });
    const joined = await join(linkHub, serving);
    testNodes.push(joined.node);
    links.push(joined.link);
    members.push({ id: joined.link.nodeId, name: `w${at + 1}` } as Member);
  }

  function offeredBy(at: number, ask: ModelAsk): OfferedModel | undefined {
    const offered = sharesOf(nodes[at]!).offered();
    return ask.model === null ? offered[0] : offered.find(({ id }) => id === ask.model);
  }

  async function first(ask: ModelAsk, excluded: ReadonlySet<string>): Promise<number> {
    const at = nodes.findIndex((_, index) => !excluded.has(members[index]!.id) && offeredBy(index, ask) !== undefined);
    const known = nodes.some((_, index) => offeredBy(index, ask) !== undefined);
    if (at !== -1) return at;
    throw known
      ? new FederationError('MODEL_UNAVAILABLE', `${ask.model} can’t be served now`)
      : new FederationError('MODEL_NOT_FOUND', `there is no model ${JSON.stringify(ask.model)}`);
  }

  const router: Router = {
    async next(ask, excluded, signal): Promise<Attempt> {
      asks.push(ask);
      const at = await chain.choose(ask, excluded, signal);
      const offered = offeredBy(at, ask);
      if (offered === undefined) throw new Error(`node ${at} has no ${ask.model}`);
      return {
        node: members[at]!,
        link: links[at]!,
        offered,
        waitedMs: 0,
        position: chain.position,
        answered: () => undefined,
        end: (end) => void ends.push(end),
      };
    },
    models: () => [],
    explain: () => {
      throw new Error('nobody asks');
    },
  };
  const consumer: Consumer = { kind: 'key', id: 'k1', name: 'test' };
  const models = createModelProxy({
    router,
    keys: {
      authenticate: (secret) => (secret === KEY ? consumer : null),
      takeTurn: () => undefined,
      admit: () => undefined,
      countsTokens: () => chain.countsTokens,
    },
    usage: { record: (record) => void records.push(record) },
    bodies: createBodyReader(),
    findSession: () => null,
    findOperator: () => null,
    log,
  });
  const hub = await listenOnTcp(
    {
      address: '127.0.0.1',
      port: 0,
      names: () => ['127.0.0.1', 'localhost'],
      upgrade: (_, socket) => refuseUpgrade(socket, 404),
    },
    { fetch: () => new Response('no', { status: 404 }), models },
  );
  closers.push(() => hub.close());

  async function daemon(shares: Shares, id: string, name: string): Promise<Entrance> {
    const local = await startModelProxy({
      port: 0,
      key: KEY,
      node: { id: () => id, name },
      shares,
      hub: createHubModels({
        hub: { host: '127.0.0.1', port: hub.port },
        session: () => ({ address: '127.0.0.1', credential: KEY, link: 1, lost: NEVER_LOST }),
        send: sender.send,
      }),
      bodies: createBodyReader(),
      send: sender.send,
      isShut: () => false,
      log,
    });
    closers.push(() => local.close());
    return { port: local.port, key: KEY };
  }

  const chain: ModelChain = {
    own: await daemon(sharesOf(nodes[0]!), members[0]!.id, 'w1'),
    hub: { port: hub.port, key: KEY },
    far: await daemon(NOTHING, 'f'.repeat(64), 'far'),
    links,
    nodes: testNodes,
    ends,
    asks,
    records,
    logs,
    choose: first,
    countsTokens: false,
    position: null,
    async [Symbol.asyncDispose]() {
      await Promise.all(closers.map((close) => close()));
      await Promise.all(testNodes.map((node) => node.stop()));
      await linkHub.close();
      await sender.close();
    },
  };
  return chain;
}

const NEVER_LOST = new AbortController().signal;
const NOTHING: Shares = { upstream: () => undefined, offered: () => [] };

function sharesOf({ baseUrl, models, headers = {}, timeouts = PATIENCE }: ChainNode): Shares {
  const upstream: Upstream = { name: 'up', api: 'openai', baseUrl, headers, concurrency: 64, timeouts };
  const offered = models.map(({ id, name = id }) => ({
    ...{ id, name, upstream: 'up', api: 'openai' as const, concurrency: 64 },
  }));
  return { upstream: (name) => (name === 'up' ? upstream : undefined), offered: () => offered };
}

async function join(hub: TestHub, { serve }: ModelServing) {
  const before = hub.links.length;
  const node = startNode(hub, { onStream: serve });
  await until('the link of a node', () => hub.links.length > before);
  return { node, link: hub.links[before]! };
}
