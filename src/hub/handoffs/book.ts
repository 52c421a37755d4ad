import { EventEmitter } from 'node:events';
import type { Change, HandoffEnd, Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord, HandoffWork } from '#src/core/handoff/record.ts';
import { keyOwner } from '#src/core/handoff/record.ts';
import { isOver } from '#src/core/handoff/state.ts';

/** What becomes of a handoff, with all that is kept together with it. */
export interface Turn {
  readonly next: HandoffRecord;
  readonly also?: readonly Change[];
}

/** All handoffs that are kept, as the store has them: the one writer of them. */
export interface Book {
  get(id: string): HandoffRecord | undefined;
  /** The one of that key, once it is durable or about to be. Throws what kept it from being so. */
  ofKey(owner: string, key: string): Promise<HandoffRecord> | undefined;
  /** In the order in which they were asked for. */
  all(): Iterable<HandoffRecord>;
  /** Those that are not over. */
  live(): Iterable<HandoffRecord>;
  /** Resolves when it is kept. Its key is taken from the call on. */
  add(record: HandoffRecord, work: HandoffWork, also: readonly Change[]): Promise<void>;
  /**
   * One change after the other: `decide` sees what the one before made durable, and says null where nothing is to be
   * changed. Resolves with how it stands then. Throws STORE_FAILED, and nothing is changed then.
   */
  change(id: string, decide: (record: HandoffRecord) => Turn | null): Promise<HandoffRecord>;
  work(id: string): Promise<HandoffWork | null>;
  end(id: string): Promise<HandoffEnd | null>;
  /** What has been over for long, or is too much: it is there no more when this resolves. */
  forget(ids: readonly string[]): Promise<void>;
  readonly changes: EventEmitter<{ handoff: [now: HandoffRecord, before: HandoffRecord | null] }>;
}

export async function openBook(store: Store): Promise<Book> {
  const kept = (await store.handoffs()).toSorted((a, b) => a.createdAt - b.createdAt);
  const records = new Map(kept.map((record) => [record.id, record]));
  const keys = new Map<string, Promise<HandoffRecord>>(
    kept.map((record) => [keyOf(record), Promise.resolve(record)] as const),
  );
  const live = new Set(kept.filter(({ state }) => !isOver(state)).map(({ id }) => id));
  const turns = new Map<string, Promise<unknown>>();
  const changes: Book['changes'] = new EventEmitter();
  changes.setMaxListeners(0);

  function put(record: HandoffRecord, before: HandoffRecord | null): void {
    records.set(record.id, record);
    if (isOver(record.state)) live.delete(record.id);
    else live.add(record.id);
    changes.emit('handoff', record, before);
  }

  async function changeNow(id: string, decide: (record: HandoffRecord) => Turn | null): Promise<HandoffRecord> {
    const before = records.get(id);
    if (before === undefined) throw notFound();
    const turn = decide(before);
    if (turn === null) return before;
    const { next, also = [] } = turn;
    await store.commit([{ type: 'handoff', id, value: next }, ...also]);
    put(next, before);
    return next;
  }

  return {
    get: (id) => records.get(id),
    ofKey(owner, key) {
      const found = keys.get(JSON.stringify([owner, key]));
      return found?.then((record) => records.get(record.id) ?? record);
    },
    all: () => records.values(),
    *live() {
      for (const id of live) yield records.get(id)!;
    },
    async add(record, work, also) {
      const { id } = record;
      const durable = store
        .commit([{ type: 'handoff', id, value: record }, { type: 'handoff_work', id, value: work }, ...also])
        .then(() => {
          put(record, null);
          return record;
        });
      keys.set(keyOf(record), durable);
      try {
        await durable;
      } catch (error) {
        keys.delete(keyOf(record));
        throw error;
      }
    },
    change(id, decide) {
      const before = turns.get(id) ?? Promise.resolve();
      const mine = before.then(() => changeNow(id, decide));
      const settled = mine
        .catch(() => undefined)
        .finally(() => {
          if (turns.get(id) === settled) turns.delete(id);
        });
      turns.set(id, settled);
      return mine;
    },
    work: (id) => store.handoffWork(id),
    end: (id) => store.handoffEnd(id),
    async forget(ids) {
      await store.commit(
        ids.flatMap((id) =>
          (['handoff', 'handoff_work', 'handoff_end'] as const).map((type) => ({ type, id, value: null })),
        ),
      );
      for (const id of ids) {
        const record = records.get(id);
        if (record !== undefined) keys.delete(keyOf(record));
        records.delete(id);
        live.delete(id);
      }
    },
    changes,
  };
}

function keyOf({ asker, parent, key }: HandoffRecord): string {
  return JSON.stringify([keyOwner(asker, parent), key]);
}

export function notFound(): FederationError {
  return new FederationError('HANDOFF_NOT_FOUND', 'there is no such handoff (any more)', {
    hint: 'manage-federation handoff list',
  });
}
