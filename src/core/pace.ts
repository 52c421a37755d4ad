/** How often somebody may do something. */
export interface Pace {
  /** Takes one turn at a time of the monotonic clock, in milliseconds; 0, or how long until there is one. */
  take(now: number): number;
}

/** So many turns a minute: as many at once, and then each when its part of the minute is over. */
export function createPace(perMinute: number): Pace {
  const partMs = 60_000 / perMinute;
  let turns = perMinute;
  let since: number | null = null;
  return {
    take(now) {
      turns = Math.min(perMinute, turns + (now - (since ?? now)) / partMs);
      since = now;
      if (turns < 1) return Math.ceil((1 - turns) * partMs);
      turns -= 1;
      return 0;
    },
  };
}
