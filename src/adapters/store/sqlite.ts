import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Table } from '#src/adapters/store/sqlite-writer.ts';
import { prepareWriter, usageFrom } from '#src/adapters/store/sqlite-writer.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import type { AuditRecord } from '#src/core/audit.ts';
import { FederationError } from '#src/core/errors.ts';
import type { UsageRow } from '#src/core/models/usage-row.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS member (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS request (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS token (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS openclaw_node (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS openclaw_rejection (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS operator (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS model_route (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS model_key (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS model_spending (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS model_usage (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS handoff (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS handoff_work (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS handoff_end (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, by TEXT NOT NULL,
    detail TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
`;

/** How long a change that nobody waits for may wait for company: each fsync is one less. */
const SOON_MS = 20;

/** SQLite result codes (https://sqlite.org/rescode.html). */
const BUSY = 5;
const DAMAGED: ReadonlySet<number> = new Set([11, 26]);

interface Waiting {
  readonly changes: readonly Change[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The embedded store: one file, one writer, WAL with full sync. Commits that wait for each other's fsync share it.
 * Throws ALREADY_RUNNING while another process has the file, STORE_DAMAGED and STORE_FAILED.
 */
export function openSqliteStore(path: string): Store {
  const db = openDatabase(path);
  const writer = prepareWriter(db);
  let waiting: Waiting[] = [];
  let flush: NodeJS.Immediate | null = null;
  let lateFlush: NodeJS.Timeout | null = null;

  /** One transaction for all that waits. One that can't be kept must not take the others with it. */
  function commitWaiting(): void {
    if (lateFlush !== null) clearTimeout(lateFlush);
    if (flush !== null) clearImmediate(flush);
    [flush, lateFlush] = [null, null];
    const group = waiting;
    waiting = [];
    try {
      writer.transaction(group.flatMap(({ changes }) => changes));
      for (const { resolve } of group) resolve();
    } catch (cause) {
      if (group.length === 1) group[0]!.reject(storeError(path, cause));
      else for (const one of group) commitAlone(one);
    }
  }

  function commitAlone({ changes, resolve, reject }: Waiting): void {
    try {
      writer.transaction(changes);
      resolve();
    } catch (cause) {
      reject(storeError(path, cause));
    }
  }

  function enqueue(changes: readonly Change[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.push({ changes, resolve, reject });
    return promise;
  }

  async function reading<T>(read: () => T): Promise<T> {
    if (waiting.length > 0) commitWaiting();
    try {
      return read();
    } catch (cause) {
      throw storeError(path, cause);
    }
  }

  return {
    nextEpoch: () => reading(() => writer.nextEpoch()),
    membership: () =>
      reading(() => ({ members: all(db, 'member'), requests: all(db, 'request'), tokens: all(db, 'token') })),
    openclawNodes: () => reading(() => all(db, 'openclaw_node')),
    openclawRejections: () => reading(() => all(db, 'openclaw_rejection')),
    operators: () => reading(() => all(db, 'operator')),
    modelRoutes: () => reading(() => all(db, 'model_route')),
    modelKeys: () => reading(() => all(db, 'model_key')),
    modelSpending: () => reading(() => all(db, 'model_spending')),
    modelUsage: (since) =>
      reading(() => {
        const rows = db.prepare('SELECT value FROM model_usage WHERE id >= ? ORDER BY id').all(usageFrom(since));
        return rows.map(({ value }) => JSON.parse(String(value)) as UsageRow);
      }),
    lockdown: () => reading(() => writer.lockdown()),
    commit(changes) {
      flush ??= setImmediate(commitWaiting);
      return enqueue(changes);
    },
    commitSoon(changes) {
      lateFlush ??= setTimeout(commitWaiting, SOON_MS);
      return enqueue(changes);
    },
    jobs: (limit) =>
      reading(() => {
        const rows = db.prepare('SELECT value FROM job ORDER BY id DESC LIMIT ?').all(limit);
        return rows.map(({ value }) => JSON.parse(String(value)) as JobView);
      }),
    job: (id) => reading(() => one(db, 'job', id)),
    handoffs: () => reading(() => all(db, 'handoff')),
    handoffWork: (id) => reading(() => one(db, 'handoff_work', id)),
    handoffEnd: (id) => reading(() => one(db, 'handoff_end', id)),
    messages: () => reading(() => all(db, 'message')),
    audit: (after, limit) =>
      reading(() => {
        const rows = db.prepare('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?').all(after, limit);
        return rows.map(auditRecord);
      }),
    auditHead: () => reading(() => writer.head()),
    async close() {
      if (waiting.length > 0) commitWaiting();
      db.close();
    },
  };
}

function openDatabase(path: string): DatabaseSync {
  try {
    // Made before SQLite does, so that no moment passes in which others may read it.
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
    const db = new DatabaseSync(path, { timeout: 2000 });
    try {
      db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      const check = db.prepare('PRAGMA quick_check(1)').get();
      if (check?.['quick_check'] !== 'ok') throw new FederationError('STORE_DAMAGED', '');
      db.exec(SCHEMA);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (cause) {
    throw storeError(path, cause);
  }
}

function all<T>(db: DatabaseSync, table: Table): T[] {
  const rows = db.prepare(`SELECT value FROM ${table} ORDER BY id`).all();
  return rows.map(({ value }) => JSON.parse(String(value)) as T);
}

function one<T>(db: DatabaseSync, table: Table | 'job', id: string): T | null {
  const row = db.prepare(`SELECT value FROM ${table} WHERE id = ?`).get(id);
  return row === undefined ? null : (JSON.parse(String(row['value'])) as T);
}

function auditRecord(row: Record<string, unknown>): AuditRecord {
  return {
    seq: Number(row['seq']),
    at: Number(row['at']),
    action: String(row['action']),
    by: String(row['by']),
    detail: JSON.parse(String(row['detail'])) as Record<string, unknown>,
    previous: String(row['previous']),
    hash: String(row['hash']),
  };
}

function storeError(path: string, cause: unknown): FederationError {
  const code = (cause as { errcode?: number } | null)?.errcode;
  if (code === BUSY) {
    return new FederationError('ALREADY_RUNNING', `another hub uses ${path}`, {
      hint: 'stop it first, or give this one another --home',
      cause,
    });
  }
  if (cause instanceof FederationError || (code !== undefined && DAMAGED.has(code))) {
    return new FederationError('STORE_DAMAGED', `${path} is damaged; nothing was changed`, {
      hint: 'put a backup in its place, or move it away to start with an empty federation',
      cause,
    });
  }
  return new FederationError('STORE_FAILED', `${path} can’t be written or read`, {
    hint: 'check free space and permissions there',
    cause,
  });
}
