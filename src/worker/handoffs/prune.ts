import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import type { Attempts, Entry, Unreadable } from '#src/worker/handoffs/entry.ts';
import { nameOf } from '#src/worker/handoffs/record.ts';

/**
 * Removes what has been over, or known to be unreadable, for longer than that, with all earlier attempts of it. Nothing
 * goes before: a node that knows nothing of a handoff says thereby that it never began it.
 */
export type Prune = (keepMs: number) => Promise<void>;

export interface PruningOptions {
  readonly store: HandoffStore;
  readonly entries: Map<string, Entry>;
  readonly unreadable: Map<string, Unreadable>;
  readonly onFault: (error: unknown) => void;
}

export function createPruning({ store, entries, unreadable, onFault }: PruningOptions): Prune {
  /** The newest goes last: an earlier one by itself would be taken for it. What fails is tried again. */
  async function removed(id: string, { attempt, older }: Attempts): Promise<boolean> {
    try {
      for (const one of [...older, attempt]) await store.remove(nameOf({ id, attempt: one }));
      return true;
    } catch (error) {
      onFault(error);
      return false;
    }
  }

  return async (keepMs) => {
    const oldest = Date.now() - keepMs;
    for (const [id, entry] of entries) {
      if ('stop' in entry.current || entry.current.endedAt > oldest) continue;
      // An attempt that came meanwhile has a folder of its own.
      if ((await removed(id, entry)) && entries.get(id) === entry) entries.delete(id);
    }
    for (const [id, entry] of unreadable) {
      if (entry.since > oldest) continue;
      if (await removed(id, entry)) unreadable.delete(id);
    }
  };
}
