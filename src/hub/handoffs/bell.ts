/** Wakes one who waits. A ring that nobody waits for is heard by the next who does. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring, at that time (milliseconds since the epoch; Infinity: never), or when the signal is aborted. */
  wait(until: number, signal: AbortSignal): Promise<void>;
}

/** Of a timer of Node: one that is longer comes at once. */
const MAX_TIMER_MS = 2_147_483_647;

export function createBell(): Bell {
  let isRung = false;
  let wake: (() => void) | null = null;
  return {
    ring() {
      isRung = true;
      wake?.();
    },
    async wait(until, signal) {
      if (!isRung && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const delay = Math.min(Math.max(0, until - Date.now()), MAX_TIMER_MS);
        const timer = until === Infinity ? undefined : setTimeout(resolve, delay);
        const onAbort = (): void => resolve();
        wake = resolve;
        signal.addEventListener('abort', onAbort, { once: true });
        await promise;
        signal.removeEventListener('abort', onAbort);
        clearTimeout(timer);
        wake = null;
      }
      isRung = false;
    },
  };
}
