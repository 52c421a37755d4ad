import { FederationError } from '#src/core/errors.ts';
import type { Line, Waiter } from '#src/hub/models/line.ts';
import { enter, firstOf, heaviest, leave, newLine, retryAfter, sizeOf, tellPositions } from '#src/hub/models/line.ts';

/** The places of upstreams and who waits for them, by a key that names node and upstream. */
export interface Queue {
  inFlight(key: string): number;
  waiting(key: string): number;
  /** Takes a free place, unless others wait for it; null where there is none. */
  take(key: string, concurrency: number): Place | null;
  /** Begins to wait. It has a number: who lines up again keeps it. */
  ticket(options: TicketOptions): Ticket;
  /** All that wait look anew where they may go. */
  stir(): void;
}

export interface Place {
  readonly key: string;
  /** Gives it to the next; further calls mean nothing. */
  leave(): void;
}

export interface TicketOptions {
  /** Whose turn comes round as often as that of every other. */
  readonly consumer: string;
  readonly signal: AbortSignal;
  /** Of the time to wait: monotonic milliseconds. */
  readonly endsAt: number;
  /** Told each new position, from 1. */
  readonly onQueued: (position: number) => void;
}

export interface Ticket {
  /**
   * Waits for a place at one of the upstreams; null when it is to look anew where it may go. Throws MODELS_BUSY where
   * all lines are full or the time is up, and the reason of the signal.
   */
  turn(upstreams: readonly Busy[]): Promise<Place | null>;
}

export interface Busy {
  readonly key: string;
  readonly concurrency: number;
}

/** For each place of an upstream so many may wait, and at least some. */
const WAITING_OF_PLACE = 8;
const WAITING_AT_LEAST = 32;
/** At all upstreams together: each that waits holds a body. */
const WAITING_AT_MOST = 1000;
/** Lines that are kept for upstreams which nobody uses now. */
const IDLE_AT_MOST = 1000;
/** Share of the newest sample in the mean of how long a place is held. */
const NEWEST = 0.2;

/** `now`: monotonic milliseconds. */
export function createQueue(now: () => number = () => performance.now()): Queue {
  const lines = new Map<string, Line>();
  const waiters = new Set<Waiter>();
  let numbers = 0;

  function lineOf(key: string, concurrency: number): Line {
    const line = lines.get(key) ?? newLine(concurrency);
    line.concurrency = concurrency;
    lines.set(key, line);
    return line;
  }

  function occupy(key: string, line: Line): Place {
    line.inFlight += 1;
    const since = now();
    let isHeld = true;
    return {
      key,
      leave() {
        if (!isHeld) return;
        isHeld = false;
        line.inFlight -= 1;
        line.heldMs += NEWEST * (now() - since - line.heldMs);
        serve(key, line);
        forgetIdle(key, line);
      },
    };
  }

  /** Gives free places to those whose turn it is. */
  function serve(key: string, line: Line): void {
    while (line.inFlight < line.concurrency) {
      const next = firstOf(line);
      if (next === undefined) break;
      line.served.set(next.consumer, ++numbers);
      remove(next);
      next.settle(occupy(key, line));
    }
    tellPositions(line);
  }

  /** A few that nobody uses stay: to make each anew for the next request is dearer. */
  function forgetIdle(key: string, line: Line): void {
    if (line.inFlight > 0 || line.consumers.size > 0) return;
    if (lines.size > IDLE_AT_MOST) lines.delete(key);
    else line.served.clear();
  }

  function remove(waiter: Waiter): void {
    waiters.delete(waiter);
    for (const line of [...waiter.positions.keys()]) {
      leave(line, waiter);
      tellPositions(line);
    }
  }

  /** Makes room for one more, at the cost of whom has most there; false where that is who asks. */
  function makeRoom(line: Line, consumer: string): boolean {
    if (waiters.size >= WAITING_AT_MOST && !makeRoomAnywhere(consumer)) return false;
    if (sizeOf(line) < Math.max(WAITING_AT_LEAST, line.concurrency * WAITING_OF_PLACE)) return true;
    const most = heaviest(line);
    const last = most.at(-1);
    if (last === undefined || most.length <= (line.consumers.get(consumer)?.length ?? 0) + 1) return false;
    leave(line, last);
    if (last.positions.size > 0) return true;
    waiters.delete(last);
    last.fail(busy('others want their turn, too', retryAfter(line)));
    return true;
  }

  /** At the cost of whom has most in all lines together. */
  function makeRoomAnywhere(consumer: string): boolean {
    const own = Map.groupBy(waiters, (waiter) => waiter.consumer);
    const most = [...own.values()].reduce((a, b) => (b.length > a.length ? b : a));
    if (most.length <= (own.get(consumer)?.length ?? 0) + 1) return false;
    const last = most.reduce((a, b) => (b.number > a.number ? b : a));
    const soonest = Math.min(...[...last.positions.keys()].map(retryAfter));
    remove(last);
    last.fail(busy('others want their turn, too', soonest));
    return true;
  }

  return {
    inFlight: (key) => lines.get(key)?.inFlight ?? 0,
    waiting(key) {
      const line = lines.get(key);
      return line === undefined ? 0 : sizeOf(line);
    },
    take(key, concurrency) {
      const line = lineOf(key, concurrency);
      if (line.consumers.size > 0) serve(key, line);
      return line.consumers.size > 0 || line.inFlight >= line.concurrency ? null : occupy(key, line);
    },
    ticket({ consumer, signal, endsAt, onQueued }) {
      const number = ++numbers;
      let told = 0;
      const tell = (position: number): void => {
        if (position !== told) onQueued((told = position));
      };

      return {
        async turn(upstreams) {
          signal.throwIfAborted();
          const wanted = upstreams.map(({ key, concurrency }) => ({ key, line: lineOf(key, concurrency) }));
          const open = wanted.filter(({ line }) => makeRoom(line, consumer));
          const soonest = Math.min(...wanted.map(({ line }) => retryAfter(line)));
          if (open.length === 0) {
            for (const { key, line } of wanted) forgetIdle(key, line);
            throw busy('all that have this model are busy, and as many wait as may', soonest);
          }
          const { promise, resolve, reject } = Promise.withResolvers<Place | null>();
          const waiter: Waiter = { number, consumer, positions: new Map(), settle: resolve, fail: reject, tell };
          waiters.add(waiter);
          for (const { line } of open) enter(line, waiter);
          for (const { key, line } of open) serve(key, line);

          const giveUp = (error: Error): void => {
            if (!waiters.has(waiter)) return;
            remove(waiter);
            for (const { key, line } of open) forgetIdle(key, line);
            reject(error);
          };
          const onAbort = (): void => giveUp(reasonOf(signal));
          const late = setTimeout(
            () => giveUp(busy(`no place became free in time: the request was number ${told} in the line`, soonest)),
            Math.max(0, endsAt - now()),
          );
          signal.addEventListener('abort', onAbort);
          try {
            return await promise;
          } finally {
            clearTimeout(late);
            signal.removeEventListener('abort', onAbort);
          }
        },
      };
    },
    stir() {
      // In the order of their turns, so that what is free now goes to whose turn it is.
      for (const waiter of inTurns(waiters)) {
        remove(waiter);
        waiter.settle(null);
      }
    },
  };
}

function inTurns(waiters: Iterable<Waiter>): readonly Waiter[] {
  const consumers = [...Map.groupBy(waiters, ({ consumer }) => consumer).values()];
  const rounds = consumers.reduce((most, own) => Math.max(most, own.length), 0);
  const byAge = consumers.map((own) => own.toSorted((a, b) => a.number - b.number));
  return Array.from({ length: rounds }, (_, round) => byAge.flatMap((own) => own[round] ?? [])).flat();
}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error('it was given up', { cause: reason });
}

function busy(message: string, retryAfterMs: number): FederationError {
  return new FederationError('MODELS_BUSY', message, {
    hint: `try again in ${Math.ceil(retryAfterMs / 1000)} s`,
    retryAfterMs,
  });
}
