import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Book } from '#src/hub/handoffs/book.ts';

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

/** Rings whenever that handoff is another than before, until it is disposed of. */
export function bellOf({ changes }: Pick<Book, 'changes'>, id: string): Bell & Disposable {
  const bell = createBell();
  const onChange = (record: HandoffRecord): void => {
    if (record.id === id) bell.ring();
  };
  changes.on('handoff', onChange);
  return { ...bell, [Symbol.dispose]: () => void changes.off('handoff', onChange) };
}
