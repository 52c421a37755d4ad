import type { Log } from '#src/adapters/log.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';

/** Keeps counts that change with every request: many changes of one count are one write, and no request waits for it. */
export interface LateWriter {
  /** `change` is asked what to keep when it is written. */
  put(id: string, change: () => Change): void;
  /** Resolves when all of it is kept, or can't be. */
  flush(): Promise<void>;
  /** The same for the last time. */
  close(): Promise<void>;
}

/** What a hub that dies at once may lose. */
const WRITE_MS = 2000;

export function createLateWriter(store: Pick<Store, 'commitSoon'>, log: Log): LateWriter {
  let waiting = new Map<string, () => Change>();
  let timer: NodeJS.Timeout | null = null;
  let written: Promise<void> = Promise.resolve();
  let isClosed = false;

  function wait(): void {
    if (timer === null && !isClosed) timer = setTimeout(() => void flush(), WRITE_MS).unref();
  }

  async function write(): Promise<void> {
    const group = waiting;
    waiting = new Map();
    if (group.size === 0) return;
    try {
      await store.commitSoon([...group.values()].map((change) => change()));
    } catch (error) {
      log.warn('counts of models are not kept yet', {
        problem: error instanceof Error ? error.message : String(error),
      });
      // A disk that is full may have room again.
      for (const [id, change] of group) if (!waiting.has(id)) waiting.set(id, change);
      wait();
    }
  }

  function flush(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    written = written.then(write);
    return written;
  }

  return {
    put(id, change) {
      waiting.set(id, change);
      wait();
    },
    flush,
    close() {
      isClosed = true;
      return flush();
    },
  };
}
