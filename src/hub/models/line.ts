import type { Place } from '#src/hub/models/queue.ts';

/** Who waits for a place at one upstream, and what is known of its places. */
export interface Line {
  concurrency: number;
  inFlight: number;
  /** Milliseconds that a place is held: a moving mean. */
  heldMs: number;
  /** By consumer, each in the order of its numbers. */
  readonly consumers: Map<string, Waiter[]>;
  /** When each consumer was served last, as rising numbers: whoever it was longest ago is next. */
  readonly served: Map<string, number>;
}

export interface Waiter {
  readonly number: number;
  readonly consumer: string;
  /** Where it stands in each of its lines, from 1. */
  readonly positions: Map<Line, number>;
  readonly settle: (place: Place | null) => void;
  readonly fail: (error: Error) => void;
  /** Takes the best of its positions. */
  readonly tell: (position: number) => void;
}

/** What holding a place is taken to last before one was held. */
const HELD_MS = 2000;

export function newLine(concurrency: number): Line {
  return { concurrency, inFlight: 0, heldMs: HELD_MS, consumers: new Map(), served: new Map() };
}

/** By its number, which it may have had for long. */
export function enter(line: Line, waiter: Waiter): void {
  const own = line.consumers.get(waiter.consumer) ?? [];
  own.splice(own.findLastIndex(({ number }) => number < waiter.number) + 1, 0, waiter);
  line.consumers.set(waiter.consumer, own);
  waiter.positions.set(line, 0);
}

export function leave(line: Line, waiter: Waiter): void {
  waiter.positions.delete(line);
  const left = (line.consumers.get(waiter.consumer) ?? []).filter((one) => one !== waiter);
  if (left.length === 0) line.consumers.delete(waiter.consumer);
  else line.consumers.set(waiter.consumer, left);
}

/** Whose turn it is; undefined where nobody waits. */
export function firstOf(line: Line): Waiter | undefined {
  return inTurn(line)[0]?.[0];
}

export function sizeOf({ consumers }: Line): number {
  let size = 0;
  for (const own of consumers.values()) size += own.length;
  return size;
}

/** All that the consumer with most of them has. */
export function heaviest({ consumers }: Line): readonly Waiter[] {
  let most: readonly Waiter[] = [];
  for (const own of consumers.values()) if (own.length > most.length) most = own;
  return most;
}

/** Tells everyone where it stands now: turns go round, one for each consumer. */
export function tellPositions(line: Line): void {
  const consumers = inTurn(line);
  const rounds = consumers.reduce((most, own) => Math.max(most, own.length), 0);
  let position = 0;
  for (let round = 0; round < rounds; round++) {
    for (const own of consumers) {
      const waiter = own[round];
      if (waiter === undefined) continue;
      position += 1;
      if (waiter.positions.get(line) === position) continue;
      waiter.positions.set(line, position);
      waiter.tell(Math.min(...[...waiter.positions.values()].filter((known) => known > 0)));
    }
  }
}

/** Milliseconds until one more that came now would have its turn, as far as can be told. */
export function retryAfter(line: Line): number {
  const rounds = (sizeOf(line) + 1) / line.concurrency;
  return Math.min(60_000, Math.max(1000, Math.ceil(line.heldMs * rounds)));
}

function inTurn({ consumers, served }: Line): readonly (readonly Waiter[])[] {
  if (consumers.size < 2) return [...consumers.values()];
  return [...consumers]
    .toSorted(([a, [first]], [b, [second]]) => {
      return (served.get(a) ?? 0) - (served.get(b) ?? 0) || (first?.number ?? 0) - (second?.number ?? 0);
    })
    .map(([, own]) => own);
}
