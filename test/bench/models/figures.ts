import type { Bar, Figure, Line, Sides } from '../figure.ts';
import { atLeastTimes, atMost, atMostTimes } from '../figure.ts';
import { memoryOf } from '../memory.ts';
import type { Way } from './client.ts';
import type { Kind } from './measuring.ts';
import { processorOf, rateOf, streamsBy, timesOf } from './measuring.ts';
import type { Stage } from './stage.ts';

/** A figure of ways to a model. */
export interface ModelFigure extends Omit<Figure, 'open'> {
  open(stage: Stage): Sides | Promise<Sides>;
}

/** Of what may be nothing, or less, where noise is all that is seen. */
const typical: Line['of'] = (samples) => samples.toSorted((one, other) => one - other)[Math.floor(samples.length / 2)]!;
const line = (name: string, bar: Bar | null): Line => ({ name, of: typical, bar });

const SAMPLE_MS = 500;

/** What a way adds to the direct one, and its floor beside it. */
function added(name: string, { kind, what, lines, ways }: Added): ModelFigure {
  return {
    ...{ name, unit: 'ms', what, lines, warmUps: 1, samples: 7 },
    open(stage) {
      const [ours, floor] = ways(stage);
      return together(async () => {
        const [direct = 0, own = 0, least = 0] = await timesOf([stage.direct, ours, floor], kind, SAMPLE_MS);
        return { ours: own - direct, floor: least - direct };
      });
    },
  };
}

interface Added {
  readonly kind: Kind;
  readonly what: string;
  readonly lines: readonly Line[];
  readonly ways: (stage: Stage) => readonly [ours: Way, floor: Way];
}

/** Both sides of a sample come of one measurement. */
function together(measure: () => Promise<{ readonly ours: number; readonly floor: number }>): Sides {
  let kept: Promise<{ readonly ours: number; readonly floor: number }> | null = null;
  async function take(side: 'ours' | 'floor'): Promise<number> {
    const isFirst = kept === null;
    kept ??= measure();
    const measured = await kept;
    if (!isFirst) kept = null;
    return measured[side];
  }
  return { ours: () => take('ours'), floor: () => take('floor') };
}

/** Processor time of a request, of all that serve it. */
function processor(
  name: string,
  what: string,
  sides: (stage: Stage) => readonly [ours: Served, floor: Served],
): ModelFigure {
  return {
    ...{ name, unit: 'µs', what, lines: [line('processor', null)], warmUps: 2, samples: 11 },
    open(stage) {
      const [ours, floor] = sides(stage);
      return {
        ours: () => processorOf(ours.way, ours.pids, 8),
        floor: () => processorOf(floor.way, floor.pids, 8),
      };
    },
  };
}

interface Served {
  readonly way: Way;
  readonly pids: readonly number[];
}

const STREAMS = { streams: 50, chunks: 60, everyMs: 20 };

/** Each of our ways, against what the same hops cost with nothing in them. */
export const FIGURES: readonly ModelFigure[] = [
  added('one', {
    kind: 'whole',
    what: 'what one proxy adds to a request; floor: undici’s dispatch behind node:http and nothing else',
    lines: [line('added', atMost(0.4, 'ms')), line('beside it', atMostTimes(1.5))],
    ways: ({ ours, floor }) => [ours.one, floor.one],
  }),
  added('one-first-byte', {
    kind: 'first-byte',
    what: 'what one proxy adds to the first byte of a stream; floor: the same',
    lines: [line('added', atMost(0.4, 'ms'))],
    ways: ({ ours, floor }) => [ours.one, floor.one],
  }),
  {
    ...{ name: 'one-load', unit: 'requests/s', warmUps: 1, samples: 5 },
    what: 'requests by 32 connections through one proxy; floor: the model server itself',
    lines: [line('rate', atLeastTimes(0.3))],
    open: ({ ours, direct }) => ({
      ours: () => rateOf(ours.one, 32, SAMPLE_MS),
      floor: () => rateOf(direct, 32, SAMPLE_MS),
    }),
  },
  {
    ...{ name: 'one-large', unit: 'ms', warmUps: 1, samples: 5 },
    what: 'a request of 4 MiB through one proxy; floor: to the model server itself',
    lines: [line('whole', { text: '≤ 1.5 × floor + 2 ms', holds: (ours, floor) => ours <= 1.5 * floor + 2 })],
    open: ({ ours, direct }) =>
      together(async () => {
        const [least = 0, own = 0] = await timesOf([direct, ours.one], 'large', SAMPLE_MS);
        return { ours: own, floor: least };
      }),
  },
  {
    ...{ name: 'one-chunk', unit: 'ms', warmUps: 1, samples: 3 },
    what: 'what one proxy adds to a piece of 50 streams of 50 pieces a second; floor: what the floor proxy adds',
    lines: [line('added', atMost(0.15, 'ms'))],
    open: ({ ours, floor, direct, pids }) =>
      together(async () => {
        const straight = await streamsBy(direct, STREAMS, pids.ours.near);
        const own = await streamsBy(ours.one, STREAMS, pids.ours.near);
        const least = await streamsBy(floor.one, STREAMS, pids.floor.one);
        return { ours: own.chunkMs - straight.chunkMs, floor: least.chunkMs - straight.chunkMs };
      }),
  },
  {
    ...{ name: 'one-chunk-cpu', unit: 'µs', warmUps: 0, samples: 3 },
    what: 'processor time of one proxy for each of these pieces; floor: of the floor proxy',
    lines: [line('processor', atMost(30, 'µs'))],
    open: ({ ours, floor, pids }) => ({
      ours: async () => (await streamsBy(ours.one, STREAMS, pids.ours.near)).chunkCpuMicroseconds,
      floor: async () => (await streamsBy(floor.one, STREAMS, pids.floor.one)).chunkCpuMicroseconds,
    }),
  },
  added('two', {
    kind: 'whole',
    what: 'what hub and node add to a request; floor: HTTP/1.1, HTTP/2, undici, with nothing in them',
    lines: [line('added', atMostTimes(1.15))],
    ways: ({ ours, floor }) => [ours.two, floor.two],
  }),
  added('two-first-byte', {
    kind: 'first-byte',
    what: 'what they add to the first byte of a stream; floor: the same',
    lines: [line('added', null)],
    ways: ({ ours, floor }) => [ours.two, floor.two],
  }),
  added('three', {
    kind: 'whole',
    what: 'what a node without the model, hub and node add to a request; floor: the same hops',
    lines: [line('added', atMostTimes(1.15))],
    ways: ({ ours, floor }) => [ours.three, floor.three],
  }),
  processor(
    'one-cpu',
    'processor time of one proxy for a request; floor: of the floor proxy',
    ({ ours, floor, pids }) => [
      { way: ours.one, pids: [pids.ours.near] },
      { way: floor.one, pids: [pids.floor.one] },
    ],
  ),
  processor('hub-cpu', 'processor time of the hub for a request by three proxies; floor: the same hops', (stage) => [
    { way: stage.ours.three, pids: [stage.pids.ours.hub] },
    { way: stage.floor.three, pids: [stage.pids.floor.hub] },
  ]),
  {
    ...{ name: 'memory', unit: 'MB', warmUps: 0, samples: 1 },
    what: 'RSS of the largest of our three processes after 200 streams at once; floor: of the floor proxy after as many',
    lines: [line('RSS', atMost(180, 'MB'))],
    async open({ ours, floor, pids }) {
      const many = { streams: 200, chunks: 50, everyMs: 20 };
      await streamsBy(ours.three, many, pids.ours.hub);
      await streamsBy(floor.one, many, pids.floor.one);
      return {
        ours: async () => Math.max(...(await Promise.all(Object.values(pids.ours).map((pid) => memoryOf(pid, 'Rss'))))),
        floor: () => memoryOf(pids.floor.one, 'Rss'),
      };
    },
  },
];

const portkeyOf = (stage: Stage): Way => stage.portkey!;

/** Beside what others have. */
export const BESIDE_PORTKEY: readonly ModelFigure[] = [
  added('portkey', {
    kind: 'whole',
    what: 'what one proxy adds to a request; floor: Portkey’s gateway',
    lines: [line('added', atMostTimes(1))],
    ways: (stage) => [stage.ours.one, portkeyOf(stage)],
  }),
  added('portkey-first-byte', {
    kind: 'first-byte',
    what: 'what one proxy adds to the first byte of a stream; floor: Portkey’s gateway',
    lines: [line('added', atMostTimes(1))],
    ways: (stage) => [stage.ours.one, portkeyOf(stage)],
  }),
  {
    ...{ name: 'portkey-load', unit: 'requests/s', warmUps: 1, samples: 3 },
    what: 'requests by 32 connections through one proxy; floor: through Portkey’s gateway',
    lines: [line('rate', atLeastTimes(1))],
    open: (stage) => ({
      ours: () => rateOf(stage.ours.one, 32, SAMPLE_MS),
      floor: () => rateOf(portkeyOf(stage), 32, SAMPLE_MS),
    }),
  },
];
