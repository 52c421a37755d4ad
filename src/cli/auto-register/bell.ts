import { setTimeout as pause } from 'node:timers/promises';

/** Wakes a loop. What rings while nobody waits is not lost. */
export interface Bell {
  ring(): void;
  /** Resolves when it rings or has rung, after `ms`, and when `signal` is aborted. */
  heard(ms: number, signal: AbortSignal): Promise<void>;
}

/** Timers count no further than 25 days, and a wall clock may be set. */
const MAX_WAIT_MS = 3600_000;

export function createBell(): Bell {
  let rung = Promise.withResolvers<void>();
  return {
    ring: () => rung.resolve(),
    async heard(ms, signal) {
      const over = new AbortController();
      const bounded = Math.min(Math.max(ms, 0), MAX_WAIT_MS);
      const timer = pause(bounded, undefined, { signal: AbortSignal.any([signal, over.signal]) });
      await Promise.race([rung.promise, timer.catch(() => undefined)]);
      over.abort();
      rung = Promise.withResolvers();
    },
  };
}
