import type { Bench } from './bench.ts';

/** Both ways of doing one thing, ready to be measured in turn. One call is one sample, in the figure's unit. */
export interface Sides {
  ours(): Promise<number>;
  /** The least that the thing can take on this machine, now: without it there is no figure. */
  floor(): Promise<number>;
}

export interface Figure {
  readonly name: string;
  readonly unit: 's' | 'ms' | 'µs' | 'MB' | 'MB/s' | 'requests/s';
  /** What is measured, and against what. */
  readonly what: string;
  readonly warmUps: number;
  readonly samples: number;
  readonly lines: readonly Line[];
  /** Why it can't be measured here; null where it can. */
  obstacle?(): string | null;
  /** What it starts is registered with the bench, which stops it. */
  open(bench: Bench): Promise<Sides>;
}

/** One number of each side, and what is asked of it; without a bar it is for information. */
export interface Line {
  readonly name: string;
  of(samples: readonly number[]): number;
  readonly bar: Bar | null;
}

export interface Bar {
  readonly text: string;
  holds(ours: number, floor: number): boolean;
}

export const atMost = (limit: number, unit: string): Bar => ({
  text: `≤ ${limit} ${unit}`,
  holds: (ours) => ours <= limit,
});

export const atMostTimes = (factor: number): Bar => ({
  text: `≤ ${factor} × floor`,
  holds: (ours, floor) => ours <= factor * floor,
});

export const atLeastTimes = (factor: number): Bar => ({
  text: `≥ ${factor} × floor`,
  holds: (ours, floor) => ours >= factor * floor,
});

export const atMostAbove = (extra: number, unit: string): Bar => ({
  text: `≤ floor + ${extra} ${unit}`,
  holds: (ours, floor) => ours <= floor + extra,
});

/** Nearest rank. Throws on no samples: a number that was not measured must not be reported. */
export function percentile(share: number): (samples: readonly number[]) => number {
  return (samples) => {
    const sorted = samples.toSorted((one, other) => one - other);
    const found = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    if (found === undefined || !sorted.every((sample) => sample > 0)) throw new Error('nothing was measured');
    return found;
  };
}

export const median = percentile(0.5);
