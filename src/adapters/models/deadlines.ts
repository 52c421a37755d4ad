/** A time by which something should have happened; hardly ever one passes. */
export interface Deadline {
  /** In so many milliseconds from now, in the place of what was set. */
  set(milliseconds: number): void;
  clear(): void;
}

export interface Deadlines {
  /** `onPass` is called once for each time that is set and not cleared before. */
  create(onPass: () => void): Deadline;
}

/** Longest time of a timer of Node, some 25 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** In a ring that begins and ends with `first`; one that is in none has no neighbours. */
interface Watched {
  /** Monotonic milliseconds. */
  at: number;
  readonly onPass: () => void;
  before: Watched | null;
  after: Watched | null;
}

/**
 * Deadlines of many requests, by one timer: it is set for the next of them and looks at all when it wakes, so that a
 * request that is in time costs no timer. It keeps no process alive.
 *
 * A busy process may wake late, with the answer at its door since long: what has come is taken in before any time is up.
 *
 * A ring and no Set: the tables that a Set outgrows keep what was in them until the whole memory is tidied up.
 */
export function createDeadlines(): Deadlines {
  const first: Watched = { at: Infinity, onPass: () => undefined, before: null, after: null };
  first.before = first.after = first;
  let timer: NodeJS.Timeout | null = null;
  let wakesAt = Infinity;

  function wakeAt(at: number, now: number): void {
    if (at >= wakesAt) return;
    if (timer !== null) clearTimeout(timer);
    wakesAt = at;
    timer = setTimeout(takeIn, Math.min(Math.ceil(at - now), LONGEST_MS)).unref();
  }

  /** Node calls timers before it reads its sockets, and this after both. */
  function takeIn(): void {
    timer = null;
    setImmediate(wake);
  }

  function wake(): void {
    wakesAt = Infinity;
    const now = performance.now();
    let next = Infinity;
    const passed: Watched[] = [];
    for (let one = first.after!; one !== first; one = one.after!) {
      if (one.at > now) next = Math.min(next, one.at);
      else passed.push(one);
    }
    for (const one of passed) remove(one);
    if (next < Infinity) wakeAt(next, now);
    // Of several, one may clear another.
    for (const one of passed) if (one.at <= now) one.onPass();
  }

  return {
    create(onPass) {
      const own: Watched = { at: Infinity, onPass, before: null, after: null };
      return {
        set(milliseconds) {
          const now = performance.now();
          own.at = now + milliseconds;
          if (own.after === null) addBehind(first, own);
          wakeAt(own.at, now);
        },
        clear() {
          own.at = Infinity;
          remove(own);
        },
      };
    },
  };
}

function addBehind(one: Watched, added: Watched): void {
  added.before = one;
  added.after = one.after;
  one.after!.before = added;
  one.after = added;
}

function remove(one: Watched): void {
  if (one.after === null || one.before === null) return;
  one.before.after = one.after;
  one.after.before = one.before;
  one.before = one.after = null;
}
