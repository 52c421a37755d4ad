import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Attempt, AttemptEnd, Router } from '#src/hub/models/router.ts';
import type { UsageRecord } from '#src/hub/models/usage.ts';

/** Figures of the model proxy, as Prometheus reads them. No key and no word of a client is a label. */
export interface ModelMetrics {
  /** What to send, and how it is called. */
  readonly contentType: string;
  text(): Promise<string>;
  /** Takes note of a request that is over. */
  recorded(record: UsageRecord): void;
  /** The same router, whose decisions are counted. */
  measured(router: Router): Router;
}

export interface ModelMetricsOptions {
  readonly nameOf: (nodeId: string) => string;
  /** Ids of the nodes of which an upstream or a model is out of use now, one for each. */
  readonly outages: () => readonly string[];
}

/** Seconds, from a model that is in memory on this machine to one that is loaded first. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** In a line. */
const POSITIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/** Pairs of node and model that are told apart; all others are one. */
const MAX_PAIRS = 2000;
interface Pair {
  readonly node: string;
  readonly model: string;
}

const OTHER: Pair = { node: '(other)', model: '(other)' };

export function createModelMetrics({ nameOf, outages }: ModelMetricsOptions): ModelMetrics {
  const registry = new Registry();
  const registers = [registry];
  const name = (own: string): string => `openclaw_federation_models_${own}`;
  const requests = new Counter({
    ...{ name: name('requests_total'), help: 'Requests that are over', labelNames: ['consumer', 'outcome'], registers },
  });
  const tokens = new Counter({
    ...{ name: name('tokens_total'), help: 'As upstreams say', labelNames: ['node', 'model', 'kind'], registers },
  });
  const attempts = new Counter({
    ...{ name: name('attempts_total'), help: 'Tries at nodes', labelNames: ['node', 'model', 'outcome'], registers },
  });
  const firstByte = new Histogram({
    ...{ name: name('first_byte_seconds'), help: 'Of a try, to the first byte', labelNames: ['node'], registers },
    buckets: BUCKETS,
  });
  const duration = new Histogram({
    ...{ name: name('attempt_seconds'), help: 'Of a try, to its end', labelNames: ['node'], registers },
    buckets: BUCKETS,
  });
  const connect = new Histogram({
    ...{ name: name('connect_seconds'), help: 'Of a node, for a connection', labelNames: ['node'], registers },
    buckets: BUCKETS,
  });
  const idle = new Histogram({
    ...{
      name: name('idle_seconds'),
      help: 'The longest between two parts of an answer',
      labelNames: ['node'],
      registers,
    },
    buckets: BUCKETS,
  });
  const queue = new Histogram({
    ...{ name: name('queue_seconds'), help: 'For a place at an upstream', registers },
    buckets: BUCKETS,
  });
  const position = new Histogram({
    ...{ name: name('queue_position'), help: 'In the line, of a request that begins to wait', registers },
    buckets: POSITIONS,
  });
  // What changes twice with each request is counted here, and told when somebody asks.
  const inFlight = new Map<string, number>();
  let queued = 0;
  new Gauge({
    ...{ name: name('in_flight'), help: 'Tries under way', labelNames: ['node'], registers },
    collect() {
      for (const [node, count] of inFlight) this.set({ node }, count);
    },
  });
  new Gauge({
    ...{ name: name('queued'), help: 'Requests that a node is looked for', registers },
    collect() {
      this.set(queued);
    },
  });
  new Gauge({
    ...{ name: name('out_of_use'), help: 'Upstreams and models that failed of late', labelNames: ['node'], registers },
    collect() {
      this.reset();
      for (const nodeId of outages()) this.inc({ node: nameOf(nodeId) });
    },
  });
  /** By node, then by model. */
  const pairs = new Map<string, Map<string, Pair>>();
  let pairCount = 0;

  function pairOf(node: string, model: string): Pair {
    const known = pairs.get(node)?.get(model);
    if (known !== undefined) return known;
    if (pairCount >= MAX_PAIRS) return OTHER;
    pairCount += 1;
    const pair = { node, model };
    pairs.set(node, (pairs.get(node) ?? new Map<string, Pair>()).set(model, pair));
    return pair;
  }

  function countInFlight(node: string, by: 1 | -1): void {
    inFlight.set(node, (inFlight.get(node) ?? 0) + by);
  }

  function begun(attempt: Attempt): Attempt {
    const { node, offered, waitedMs } = attempt;
    const labels = pairOf(node.name, offered.id);
    queue.observe(waitedMs / 1000);
    if (attempt.position !== null) position.observe(attempt.position);
    countInFlight(labels.node, 1);
    let isOver = false;
    return {
      ...attempt,
      end(end: AttemptEnd) {
        attempt.end(end);
        if (isOver) return;
        isOver = true;
        countInFlight(labels.node, -1);
        attempts.inc({ ...labels, outcome: end.failure ?? 'answered' });
        if (end.firstByteMs !== null) firstByte.observe({ node: labels.node }, end.firstByteMs / 1000);
        if (typeof end.connectMs === 'number') connect.observe({ node: labels.node }, end.connectMs / 1000);
        if (typeof end.idleMs === 'number') idle.observe({ node: labels.node }, end.idleMs / 1000);
        duration.observe({ node: labels.node }, end.totalMs / 1000);
      },
    };
  }

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    recorded({ consumer, node, model, status, aborted, tokens: used }) {
      const outcome = aborted ? 'aborted' : status !== null && status < 400 ? 'answered' : 'failed';
      requests.inc({ consumer: consumer.kind, outcome });
      if (used === null || node === null || model === null) return;
      const labels = pairOf(nameOf(node), model);
      for (const kind of ['input', 'output', 'cached'] as const) {
        if (used[kind] > 0) tokens.inc({ ...labels, kind }, used[kind]);
      }
    },
    measured: (router) => ({
      ...router,
      async next(...ask) {
        queued += 1;
        try {
          return begun(await router.next(...ask));
        } finally {
          queued -= 1;
        }
      },
    }),
  };
}
