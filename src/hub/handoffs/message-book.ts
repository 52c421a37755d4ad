import type { Change, Store } from '#src/adapters/store/store.ts';
import type { MessageRecord } from '#src/core/handoff/message.ts';
import { keyOwner } from '#src/core/handoff/record.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';

/** How a message comes to its end. */
export interface MessageEnd {
  readonly state: 'delivered' | 'refused';
  readonly agent: string | null;
  readonly problem: string | null;
}

/** All messages that are kept, as the store has them. */
export interface MessageBook {
  get(id: string): MessageRecord | undefined;
  /** The one of that key, once it is durable or about to be. Throws what kept it from being so. */
  ofKey(asker: Asker, key: string): Promise<MessageRecord> | undefined;
  /** In the order in which they were sent. */
  waiting(): readonly MessageRecord[];
  /** Resolves when it is kept. Its key is taken from the call on. */
  add(record: MessageRecord, also: readonly Change[]): Promise<void>;
  end(record: MessageRecord, end: MessageEnd): Promise<void>;
  /** Why it waits, for whoever asks meanwhile. */
  note(record: MessageRecord, problem: string): void;
  /** What is over for long, or is too much. */
  forgetOver(since: number, most: number): Promise<void>;
}

export async function openMessageBook(store: Pick<Store, 'messages' | 'commit'>): Promise<MessageBook> {
  const kept = (await store.messages()).toSorted((a, b) => a.createdAt - b.createdAt);
  const records = new Map(kept.map((record) => [record.id, record]));
  const keys = new Map<string, Promise<MessageRecord>>(
    kept.map((record) => [keyOf(record.asker, record.key), Promise.resolve(record)] as const),
  );

  async function put(record: MessageRecord, also: readonly Change[]): Promise<void> {
    await store.commit([{ type: 'message', id: record.id, value: record }, ...also]);
    records.set(record.id, record);
  }

  return {
    get: (id) => records.get(id),
    ofKey: (asker, key) => keys.get(keyOf(asker, key))?.then((record) => records.get(record.id) ?? record),
    waiting: () => [...records.values()].filter(({ state }) => state === 'waiting'),
    async add(record, also) {
      const key = keyOf(record.asker, record.key);
      const durable = put(record, also).then(() => record);
      keys.set(key, durable);
      try {
        await durable;
      } catch (error) {
        keys.delete(key);
        throw error;
      }
    },
    async end(record, { state, agent, problem }) {
      const at = Date.now();
      const detail = { id: record.id, node: record.node.name, agent, outcome: state, problem };
      const entry = { at, action: 'message.end', by: askerText(record.asker), detail };
      await put({ ...record, state, agent, problem, text: '', overAt: at }, [{ type: 'audit', entry }]);
    },
    note(record, problem) {
      if (record.problem !== problem) records.set(record.id, { ...record, problem });
    },
    async forgetOver(since, most) {
      const over = [...records.values()].filter(({ overAt }) => overAt !== null);
      const old = over.filter(({ overAt }) => (overAt ?? 0) < since);
      const tooMany = over.slice(0, Math.max(0, records.size - most));
      const gone = new Set([...old, ...tooMany]);
      if (gone.size === 0) return;
      await store.commit([...gone].map(({ id }) => ({ type: 'message', id, value: null })));
      for (const { id, asker, key } of gone) {
        records.delete(id);
        keys.delete(keyOf(asker, key));
      }
    },
  };
}

function keyOf(asker: Asker, key: string): string {
  return JSON.stringify([keyOwner(asker, null), key]);
}
