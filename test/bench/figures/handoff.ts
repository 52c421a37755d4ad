import { setTimeout as pause } from 'node:timers/promises';
import type { ScriptedRun } from '../../support/agent-gateway.ts';
import { eventually } from '../../support/eventually.ts';
import { startAgents, startBareWay } from '../agents.ts';
import type { Bench } from '../bench.ts';
import type { Figure } from '../figure.ts';
import { atMost, atMostAbove, atMostTimes, median, percentile } from '../figure.ts';
import { memoryOf, SETTLE_MS } from '../memory.ts';

/** Longer than the moment in which a worker gathers words: each is one event. */
const APART_MS = 25;

export const handoffAcknowledgement: Figure = {
  name: 'handoff-acknowledgement',
  unit: 'ms',
  what: 'a handoff is posted until it is durable that it is done once; floor: HTTP on loopback and one synced write',
  warmUps: 5,
  samples: 30,
  lines: [
    { name: 'p50', of: median, bar: atMost(10, 'ms') },
    { name: 'p95', of: percentile(0.95), bar: null },
  ],
  async open(bench) {
    const { handOver, untilOver } = await startAgents(bench, async () => 'done');
    const { url } = await startBareWay(bench);
    const order = JSON.stringify({ key: 'k'.repeat(36), target: 'w1/main', task: 'do it' });
    return {
      async ours() {
        const startedAt = performance.now();
        const id = await handOver('main', 'do it');
        const took = performance.now() - startedAt;
        await untilOver(id);
        return took;
      },
      async floor() {
        const startedAt = performance.now();
        await (await fetch(url, { method: 'POST', body: order })).text();
        return performance.now() - startedAt;
      },
    };
  },
};

export const handoffEvent: Figure = {
  name: 'handoff-event',
  unit: 'ms',
  what: 'words of an agent, from its gateway until the caller has them; floor: the same frame over a bare link',
  warmUps: 20,
  samples: 100,
  lines: [
    { name: 'p50', of: median, bar: atMostAbove(1, 'ms') },
    { name: 'p95', of: percentile(0.95), bar: null },
  ],
  async open(bench) {
    const { promise: begun, resolve: begin } = Promise.withResolvers<ScriptedRun>();
    const over = new AbortController();
    bench.onEnd(async () => over.abort());
    const agents = await startAgents(bench, async (run) => {
      begin(run);
      await pause(600_000, undefined, { signal: over.signal }).catch(() => undefined);
      return '';
    });
    const id = await agents.handOver('main', 'talk');
    const run = await begun;
    const caller = await agents.follow(id, 0);
    await caller.next();
    const bare = await startBareWay(bench);
    const follower = await bare.follow();
    await follower.next();
    const payload = { runId: run.key, sessionKey: run.session, stream: 'assistant' };
    return {
      ours: () => timed(() => run.say('word '), caller.next),
      floor: () =>
        timed(
          () => bare.say({ type: 'event', event: 'agent', payload: { ...payload, data: { delta: 'word ' } } }),
          follower.next,
        ),
    };
  },
};

async function timed(say: () => void, heard: () => Promise<string>): Promise<number> {
  await pause(APART_MS);
  const startedAt = performance.now();
  say();
  await heard();
  return performance.now() - startedAt;
}

const EVENTS = 4000;

export const handoffResume: Figure = {
  name: 'handoff-resume',
  unit: 'ms',
  what: `a caller comes back to a transcript of ${EVENTS} events, until it has the next one; floor: the first event of a bare stream`,
  warmUps: 5,
  samples: 30,
  lines: [
    { name: 'p50', of: median, bar: atMost(200, 'ms') },
    { name: 'p95', of: percentile(0.95), bar: null },
  ],
  async open(bench) {
    const agents = await startAgents(bench, async (run) => {
      for (let at = 0; at < EVENTS / 2; at++) {
        run.tool('look', { at }, `found ${at}`);
        if (at % 100 === 99) await pause(1);
      }
      return 'done';
    });
    const id = await agents.handOver('main', 'look');
    await agents.untilOver(id);
    const bare = await startBareWay(bench);
    let at = 0;
    return {
      async ours() {
        at = (at + 1571) % EVENTS;
        const startedAt = performance.now();
        const caller = await agents.follow(id, at);
        const event = await caller.next();
        const took = performance.now() - startedAt;
        caller.close();
        if (!event.includes(`"seq":${at + 1},`)) throw new Error(`another event than ${at + 1} came: ${event}`);
        return took;
      },
      async floor() {
        const startedAt = performance.now();
        const follower = await bare.follow();
        await follower.next();
        const took = performance.now() - startedAt;
        follower.close();
        return took;
      },
    };
  },
};

const HANDOFFS = 100;
const TOOLS = 60;
const RESULT = 'x'.repeat(16 * 1024);
const MIB = (HANDOFFS * TOOLS * RESULT.length) / 2 ** 20;

interface Load {
  /** MB of hub and worker, before and after. */
  readonly before: number;
  readonly after: number;
}

/** Many handoffs at once on a new hub and worker, of each of which `tools` long results come; half of who follow read nothing. */
function loaded(bench: Bench, tools: number): Promise<Load> {
  return bench.scope(async (scope) => {
    const gate = Promise.withResolvers<void>();
    const agents = await startAgents(scope, async (run) => {
      await gate.promise;
      for (let at = 0; at < tools; at++) {
        run.tool('look', { at }, RESULT);
        await pause(20);
      }
      return 'done';
    });
    const both = async () => Promise.all([agents.hub.pid, agents.worker.pid].map((pid) => memoryOf(pid, 'Rss')));
    await pause(SETTLE_MS);
    const before = await both();
    const ids = await Promise.all(
      Array.from({ length: HANDOFFS }, (_, at) => agents.handOver(at % 2 === 0 ? 'main' : 'coder', 'look')),
    );
    await eventually('all run', () => agents.gateway.running() === HANDOFFS, 60_000);
    const followers = await Promise.all(ids.map((id) => agents.follow(id, 0)));
    const reading = followers.map(async (follower, at) => {
      if (at % 2 === 0) return follower.pause();
      while (!(await follower.next()).includes('"type":"ended"'));
    });
    gate.resolve();
    await Promise.all(reading);
    for (const id of ids) await agents.untilOver(id);
    const after = await both();
    const [hub, worker] = before.map((one, at) => `${one.toFixed(0)} → ${after[at]?.toFixed(0)} MB`);
    bench.say(`handoff-memory: ${tools} results each: hub ${hub}, worker ${worker}`);
    for (const follower of followers) follower.close();
    const sum = (all: readonly number[]): number => all.reduce((one, other) => one + other, 0);
    return { before: sum(before), after: sum(after) };
  });
}

/** What they say is far more than may be kept in memory. */
export const handoffMemory: Figure = {
  name: 'handoff-memory',
  unit: 'MB',
  what: `RSS of hub and worker after ${HANDOFFS} handoffs at once whose streams hold ${Math.round(2 * MIB)} MiB; floor: the same two before`,
  warmUps: 0,
  samples: 1,
  lines: [{ name: 'RSS', of: median, bar: atMostAbove(150, 'MB') }],
  async open(bench) {
    const { before, after } = await loaded(bench, 2 * TOOLS);
    return { ours: async () => after, floor: async () => before };
  },
};

/** Memory that grew with the streams would be twice as much above what it was before. */
export const handoffMemoryGrowth: Figure = {
  name: 'handoff-memory-growth',
  unit: 'MB',
  what: `RSS of hub and worker after ${HANDOFFS} handoffs at once whose streams hold ${Math.round(2 * MIB)} MiB; floor: the same with half of that`,
  warmUps: 0,
  samples: 1,
  lines: [{ name: 'RSS', of: median, bar: atMostTimes(1.2) }],
  async open(bench) {
    const short = await loaded(bench, TOOLS);
    const long = await loaded(bench, 2 * TOOLS);
    return { ours: async () => long.after, floor: async () => short.after };
  },
};
