import type { EventFile } from '#src/adapters/store/event-file.ts';

/** Where the events of handoffs are kept, a file each. */
export interface MirrorFiles {
  /** Opens it, or makes it. */
  open(id: string): Promise<EventFile>;
  remove(id: string): Promise<void>;
}

/**
 * The events of handoffs as they came. What is added is there for all who read at once, and on the medium a moment later:
 * until then the node has it, too.
 */
export interface Mirror {
  /** It is open until it is released. */
  hold(id: string): Promise<Mirrored>;
  remove(id: string): Promise<void>;
  /** Resolves when all that was added is on the medium, and no file is open. */
  close(): Promise<void>;
}

export type Mirrored = Pick<EventFile, 'seq' | 'size' | 'read' | 'offsetAfter'> & {
  append(lines: readonly string[]): void;
  /** Resolves when all that was added is on the medium. */
  settled(): Promise<void>;
  release(): void;
};

/** How long an event may wait for company on its way to the medium. */
const SYNC_MS = 50;

interface Open {
  readonly file: Promise<EventFile>;
  users: number;
  /** The one that waits or goes on now. */
  syncing: Promise<void> | null;
  isDirty: boolean;
}

export function createMirror(files: MirrorFiles, onFault: (error: unknown) => void): Mirror {
  const open = new Map<string, Open>();
  const closing = new Set<Promise<void>>();

  async function sync(entry: Open, file: EventFile): Promise<void> {
    while (entry.isDirty) {
      entry.isDirty = false;
      await file.sync();
    }
  }

  function syncSoon(entry: Open, file: EventFile): void {
    entry.isDirty = true;
    if (entry.syncing !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, SYNC_MS).unref();
    entry.syncing = promise
      .then(() => sync(entry, file))
      .catch((error: unknown) => {
        entry.isDirty = true;
        onFault(error);
      })
      .finally(() => {
        entry.syncing = null;
      });
  }

  async function close(id: string, entry: Open, file: EventFile): Promise<void> {
    entry.users -= 1;
    if (entry.users > 0) return;
    open.delete(id);
    try {
      await sync(entry, file);
      await entry.syncing;
    } finally {
      await file.close();
    }
  }

  function release(id: string, entry: Open, file: EventFile): void {
    const closed = close(id, entry, file)
      .catch(onFault)
      .finally(() => closing.delete(closed));
    closing.add(closed);
  }

  return {
    async hold(id) {
      const entry = open.get(id) ?? { file: files.open(id), users: 0, syncing: null, isDirty: false };
      open.set(id, entry);
      entry.users += 1;
      const file = await entry.file.catch((error: unknown) => {
        if (open.get(id) === entry) open.delete(id);
        throw error;
      });
      return {
        get seq() {
          return file.seq;
        },
        get size() {
          return file.size;
        },
        read: (offset, into) => file.read(offset, into),
        offsetAfter: (seq) => file.offsetAfter(seq),
        append(lines) {
          for (const line of lines) file.append(line);
          syncSoon(entry, file);
        },
        settled: () => sync(entry, file),
        release: () => release(id, entry, file),
      };
    },
    remove: (id) => files.remove(id),
    async close() {
      await Promise.all(closing);
    },
  };
}
