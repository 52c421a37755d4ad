import type { Log } from '#src/adapters/log.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import type { Consumer } from '#src/core/models/key.ts';
import { dayOf } from '#src/core/models/key.ts';
import type { TokenCount } from '#src/core/models/usage.ts';
import type { UsageRow } from '#src/core/models/usage-row.ts';
import { addedTo, consumerId, groupedBy, newRow } from '#src/core/models/usage-row.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { LateWriter } from '#src/hub/models/late-writer.ts';
import type { ModelUsage, UsageBy } from '#src/protocol/model-keys.ts';

/** One request to a model, when it is over. Of the prompt and the answer it holds nothing. */
export interface UsageRecord {
  readonly consumer: Consumer;
  /** Id of the node that answered, or was tried last; null where none was. */
  readonly node: string | null;
  /** As it is offered; null where nothing that was asked for is. */
  readonly model: string | null;
  readonly endpoint: string;
  /** Of the answer to the client; null where it got none. */
  readonly status: number | null;
  readonly attempts: number;
  /** Null where the upstream did not say. */
  readonly tokens: TokenCount | null;
  /** Tokens by what passed, for a key whose upstream did not say; null where that says nothing. */
  readonly guessed: number | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
  /** The client went away, or the answer broke off. */
  readonly aborted: boolean;
}

export interface UsageBook {
  record(record: UsageRecord): void;
}

export interface UsageLedger extends UsageBook {
  /** From the day `since` (`2026-11-21`) on. */
  usage(by: UsageBy, since: string): Promise<ModelUsage>;
  /** Resolves when all that was recorded is kept, or can't be. */
  close(): Promise<void>;
}

export interface UsageOptions {
  readonly store: Pick<Store, 'modelUsage' | 'commitSoon'>;
  readonly membership: Pick<MembershipKeeper, 'record' | 'now'>;
  readonly writer: LateWriter;
  readonly nameOf: (nodeId: string) => string;
  /** Others who want to know of each request: the budgets of keys, the metrics. */
  readonly listeners: readonly ((record: UsageRecord) => void)[];
  readonly log: Log;
}

/** Rows of one day: whoever makes up names must not fill the disk. */
const MAX_ROWS = 10_000;
/** How far back a hub that was down looks for days that are not in the audit. */
const UNCLOSED_DAYS = 40;
const DAY_MS = 86_400_000;

/**
 * Counts requests in a row for each day, consumer, node and model. The rows are the account; when a day is over the audit
 * gets one record of it for each consumer, and of a single request there is a line in the log: a chain of hashes that is
 * kept for ever is no place for a record of each, of which there may be thousands in a second.
 */
export async function openUsage(options: UsageOptions): Promise<UsageLedger> {
  const { store, membership, writer, nameOf, listeners, log } = options;
  const { now } = membership;
  let today = dayOf(now());
  /** Of today: milliseconds since the epoch. */
  let endsAt = endOf(today);
  const past = await store.modelUsage(dayOf(now() - UNCLOSED_DAYS * DAY_MS));
  let rows = new Map(past.filter(({ day }) => day === today).map((row) => [row.id, row]));
  await keepClosed(past.filter(({ day, closed }) => day < today && !closed));

  /** Rows of days that are over: they are marked and told to the audit in one. */
  async function keepClosed(over: readonly UsageRow[]): Promise<void> {
    if (over.length === 0) return;
    const marked = over.map((row) => ({ type: 'model_usage', id: row.id, value: { ...row, closed: true } }) as const);
    try {
      await store.commitSoon([...marked, ...auditOf(over, membership, nameOf)]);
    } catch (error) {
      log.warn('a day’s use of models is not in the audit yet', { problem: String(error) });
    }
  }

  function turnDay(day: string): void {
    const over = [...rows.values()];
    rows = new Map();
    today = day;
    endsAt = endOf(day);
    // Behind what is still to be written of that day, which would take the mark away.
    void writer.flush().then(() => keepClosed(over));
  }

  function rowFor(record: UsageRecord): UsageRow {
    // What no node was asked for is whatever a client wrote.
    const model = record.node === null ? null : record.model;
    const row = newRow(today, record.consumer, record.node, model);
    const known = rows.get(row.id);
    if (known !== undefined || rows.size < MAX_ROWS) return known ?? row;
    const other = newRow(today, { kind: 'operator', name: '(others)' }, null, null);
    return rows.get(other.id) ?? other;
  }

  return {
    record(record) {
      if (now() >= endsAt) turnDay(dayOf(now()));
      const row = addedTo(rowFor(record), record);
      rows.set(row.id, row);
      writer.put(`usage ${row.id}`, () => ({ type: 'model_usage', id: row.id, value: rows.get(row.id) ?? row }));
      for (const listener of listeners) listener(record);
      logOne(log, record, nameOf);
    },
    async usage(by, since) {
      await writer.flush();
      return { since, by, rows: groupedBy(await store.modelUsage(since), by, nameOf) };
    },
    close: () => writer.close(),
  };
}

function endOf(day: string): number {
  return Date.parse(day) + DAY_MS;
}

function logOne(log: Log, { consumer, node, model, ...rest }: UsageRecord, nameOf: (id: string) => string): void {
  const { endpoint, status, attempts, tokens, firstByteMs, totalMs, aborted } = rest;
  log.info('a model was used', {
    ...{ by: consumer.name, kind: consumer.kind, node: node === null ? null : nameOf(node), model, endpoint },
    ...{ status, attempts, tokens, aborted },
    firstByteMs: firstByteMs === null ? null : Math.round(firstByteMs),
    totalMs: Math.round(totalMs),
  });
}

/** Lines of one record of the audit. */
const MAX_LINES = 100;

function auditOf(
  rows: readonly UsageRow[],
  { record }: Pick<MembershipKeeper, 'record'>,
  nameOf: (id: string) => string,
): Change[] {
  const groups = Map.groupBy(rows, ({ day, consumer }) => `${day} ${consumerId(consumer)}`);
  return [...groups.values()].map((own) => {
    const { day, consumer } = own[0]!;
    const used = own.slice(0, MAX_LINES).map(({ node, model, requests, failed, aborted, attempts, tokens }) => ({
      node: node === null ? null : nameOf(node),
      ...{ model, requests, failed, aborted, attempts, tokens },
    }));
    return record('model.use', consumer.name, { day, kind: consumer.kind, used, more: own.length - used.length });
  });
}
