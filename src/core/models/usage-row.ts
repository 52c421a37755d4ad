import type { Consumer } from '#src/core/models/key.ts';
import type { TokenCount } from '#src/core/models/usage.ts';

/** What one consumer asked of one model on one node in one day of UTC. */
export interface UsageRow {
  /** Begins with the day, so that rows are in their order. */
  readonly id: string;
  /** `2026-11-21` */
  readonly day: string;
  readonly consumer: Consumer;
  /** Null where no node was asked. */
  readonly node: string | null;
  readonly model: string | null;
  readonly requests: number;
  readonly failed: number;
  readonly aborted: number;
  readonly attempts: number;
  readonly tokens: TokenCount;
  /** Requests of which no upstream said what they took. */
  readonly untold: number;
  readonly firstByte: { readonly count: number; readonly sumMs: number; readonly maxMs: number };
  /** Whether the audit has it. */
  readonly closed: boolean;
}

/** What a row takes of a request. */
export interface Used {
  readonly status: number | null;
  readonly attempts: number;
  readonly tokens: TokenCount | null;
  readonly firstByteMs: number | null;
  readonly aborted: boolean;
}

const NO_TOKENS: TokenCount = { input: 0, output: 0, cached: 0 };

/** An operator has no id but the name. */
export function consumerId(consumer: Consumer): string {
  return `${consumer.kind}:${consumer.kind === 'operator' ? consumer.name : consumer.id}`;
}

export function newRow(day: string, consumer: Consumer, node: string | null, model: string | null): UsageRow {
  return {
    id: JSON.stringify([day, consumerId(consumer), node, model]),
    ...{ day, consumer, node, model },
    ...{ requests: 0, failed: 0, aborted: 0, attempts: 0, untold: 0, tokens: NO_TOKENS, closed: false },
    firstByte: { count: 0, sumMs: 0, maxMs: 0 },
  };
}

export function addedTo(row: UsageRow, { status, attempts, tokens, firstByteMs, aborted }: Used): UsageRow {
  const isFailed = status === null ? !aborted : status >= 400;
  return {
    ...row,
    requests: row.requests + 1,
    failed: row.failed + (isFailed ? 1 : 0),
    aborted: row.aborted + (aborted ? 1 : 0),
    attempts: row.attempts + attempts,
    tokens: tokens === null ? row.tokens : sumOf(row.tokens, tokens),
    untold: row.untold + (tokens === null && !isFailed ? 1 : 0),
    firstByte:
      firstByteMs === null
        ? row.firstByte
        : {
            count: row.firstByte.count + 1,
            sumMs: row.firstByte.sumMs + firstByteMs,
            maxMs: Math.max(row.firstByte.maxMs, firstByteMs),
          },
  };
}

function sumOf(a: TokenCount, b: TokenCount): TokenCount {
  return { input: a.input + b.input, output: a.output + b.output, cached: a.cached + b.cached };
}

/** Rows of one consumer, node or model are one; the one with the most requests first. */
export function groupedBy(
  rows: readonly UsageRow[],
  by: 'consumer' | 'node' | 'model',
  nameOf: (nodeId: string) => string,
) {
  const groups = Map.groupBy(rows, (row) => (by === 'consumer' ? consumerId(row.consumer) : row[by]));
  return [...groups.values()]
    .map((own) => {
      const last = own.at(-1)!;
      const sum = (count: (row: UsageRow) => number): number => own.reduce((all, row) => all + count(row), 0);
      const answered = sum(({ firstByte }) => firstByte.count);
      return {
        name: nameIn(last, by, nameOf),
        kind: by === 'consumer' ? last.consumer.kind : null,
        requests: sum(({ requests }) => requests),
        failed: sum(({ failed }) => failed),
        aborted: sum(({ aborted }) => aborted),
        attempts: sum(({ attempts }) => attempts),
        tokens: own.reduce((all, { tokens }) => sumOf(all, tokens), NO_TOKENS),
        untold: sum(({ untold }) => untold),
        firstByteMs: answered === 0 ? null : Math.round(sum(({ firstByte }) => firstByte.sumMs) / answered),
        firstByteMaxMs: answered === 0 ? null : Math.round(Math.max(...own.map(({ firstByte }) => firstByte.maxMs))),
        lastDay: last.day,
      };
    })
    .toSorted((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1));
}

function nameIn(row: UsageRow, by: 'consumer' | 'node' | 'model', nameOf: (nodeId: string) => string): string {
  if (by === 'consumer') return row.consumer.kind === 'node' ? nameOf(row.consumer.id) : row.consumer.name;
  if (by === 'node') return row.node === null ? '-' : nameOf(row.node);
  return row.model ?? '-';
}
