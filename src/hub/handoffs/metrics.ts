import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { HANDOFF_OUTCOMES, isOver } from '#src/core/handoff/state.ts';
import type { Book } from '#src/hub/handoffs/book.ts';

/** Figures of handoffs, as Prometheus reads them. How they stand and how they ended are the only labels. */
export interface HandoffMetrics {
  text(): Promise<string>;
}

/** Seconds, from an agent that begins at once to work of a day. */
const BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400];
const LIVE = ['waiting', 'placed', 'started'] as const;

export function createHandoffMetrics(book: Pick<Book, 'live' | 'changes'>): HandoffMetrics {
  const registry = new Registry();
  const registers = [registry];
  const name = (own: string): string => `openclaw_federation_handoffs_${own}`;
  const asked = new Counter({ name: name('asked_total'), help: 'That were asked for', registers });
  const ended = new Counter({
    ...{ name: name('ended_total'), help: 'That are over', labelNames: ['outcome'], registers },
  });
  const restarts = new Counter({ name: name('restarts_total'), help: 'That were begun anew elsewhere', registers });
  const untilStart = new Histogram({
    ...{ name: name('start_seconds'), help: 'From the asking to the first start', registers },
    buckets: BUCKETS,
  });
  const duration = new Histogram({
    ...{ name: name('run_seconds'), help: 'From the start to the end', labelNames: ['outcome'], registers },
    buckets: BUCKETS,
  });
  new Gauge({
    ...{ name: name('live'), help: 'That are not over, by how they stand', labelNames: ['state'], registers },
    collect() {
      for (const state of LIVE) this.set({ state }, 0);
      for (const { state } of book.live()) this.inc({ state });
    },
  });
  new Gauge({
    ...{ name: name('oldest_waiting_seconds'), help: 'How long the oldest waits for a node', registers },
    collect() {
      const waiting = [...book.live()].filter(({ state }) => state === 'waiting');
      const since = waiting.reduce((oldest, { createdAt }) => Math.min(oldest, createdAt), Infinity);
      this.set(since === Infinity ? 0 : secondsBetween(since, Date.now()));
    },
  });
  for (const outcome of HANDOFF_OUTCOMES) ended.inc({ outcome }, 0);

  book.changes.on('handoff', (now, before) => {
    if (before === null) asked.inc();
    else count(now, before);
  });

  function count(now: HandoffRecord, before: HandoffRecord): void {
    const { state, createdAt, startedAt, endedAt, tried } = now;
    if (tried.length > before.tried.length) restarts.inc();
    if (state === 'started' && before.state !== 'started' && startedAt !== null && tried.length === 0) {
      untilStart.observe(secondsBetween(createdAt, startedAt));
    }
    if (!isOver(state) || isOver(before.state)) return;
    ended.inc({ outcome: state });
    if (startedAt !== null && endedAt !== null)
      duration.observe({ outcome: state }, secondsBetween(startedAt, endedAt));
  }

  return { text: () => registry.metrics() };
}

/** Not below 0 where the clock was set back in between. */
function secondsBetween(since: number, until: number): number {
  return Math.max(0, until - since) / 1000;
}
