import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import type { Attempts, Entry, Unreadable } from '#src/worker/handoffs/entry.ts';
import { nameOf } from '#src/worker/handoffs/record.ts';
import type { KeptOne } from '#src/worker/handoffs/surplus.ts';
import { surplus } from '#src/worker/handoffs/surplus.ts';

/**
 * Removes what has been over, or known to be unreadable, for longer than that, with all earlier attempts of it; and of
 * the rest what is more than so many bytes.
 */
export type Prune = (keepMs: number, keepTotalBytes: number) => Promise<void>;

export interface PruningOptions {
  readonly store: HandoffStore;
  readonly entries: Map<string, Entry>;
  readonly unreadable: Map<string, Unreadable>;
  /** Those that somebody has read to their end. */
  readonly read: Set<string>;
  readonly onFault: (error: unknown) => void;
}

export function createPruning({ store, entries, unreadable, read, onFault }: PruningOptions): Prune {
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

  async function forget(id: string, entry: Entry): Promise<void> {
    if (!(await removed(id, entry))) return;
    read.delete(id);
    // An attempt that came meanwhile has a folder of its own.
    if (entries.get(id) === entry) entries.delete(id);
  }

  async function keptOnes(): Promise<KeptOne[]> {
    const kept: KeptOne[] = [];
    for (const [id, { attempt, older, current }] of entries) {
      if ('stop' in current) continue;
      let bytes = 0;
      for (const one of [...older, attempt]) bytes += await store.size(nameOf({ id, attempt: one }));
      kept.push({ id, bytes, endedAt: current.endedAt, isRead: read.has(id) });
    }
    return kept;
  }

  return async (keepMs, keepTotalBytes) => {
    const oldest = Date.now() - keepMs;
    for (const [id, entry] of entries) {
      if ('stop' in entry.current || entry.current.endedAt > oldest) continue;
      await forget(id, entry);
    }
    for (const [id, entry] of unreadable) {
      if (entry.since > oldest) continue;
      if (await removed(id, entry)) unreadable.delete(id);
    }
    for (const id of surplus(await keptOnes(), keepTotalBytes)) {
      const entry = entries.get(id);
      if (entry !== undefined && !('stop' in entry.current)) await forget(id, entry);
    }
  };
}
