import { createHash } from 'node:crypto';
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Change, Store } from '#src/adapters/store/store.ts';
import type { AuditEntry, AuditHead, AuditRecord } from '#src/core/audit.ts';
import { auditText, GENESIS } from '#src/core/audit.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Lockdown } from '#src/core/lockdown.ts';
import type { UsageRow } from '#src/core/models/usage-row.ts';
import type { JobView } from '#src/protocol/hub-api.ts';

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
  CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, by TEXT NOT NULL,
    detail TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
`;

/** Jobs that are kept; the audit keeps all for ever. */
const JOBS_KEPT = 10_000;

/** How long is kept what was used of models. */
const USAGE_DAYS = 400;

/** Key of the lockdown in `meta`. */
const LOCKDOWN = 'lockdown';

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
    job: (id) =>
      reading(() => {
        const row = db.prepare('SELECT value FROM job WHERE id = ?').get(id);
        return row === undefined ? null : (JSON.parse(String(row['value'])) as JobView);
      }),
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

function prepareWriter(db: DatabaseSync) {
  const puts = preparePuts(db);
  const drops = prepareDrops(db);
  const append = db.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)');
  const putMeta = db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)');
  const getMeta = db.prepare('SELECT value FROM meta WHERE key = ?');
  const dropMeta = db.prepare('DELETE FROM meta WHERE key = ?');
  const forgetJobs = db.prepare(
    `DELETE FROM job WHERE id <= (SELECT id FROM job ORDER BY id DESC LIMIT 1 OFFSET ${JOBS_KEPT})`,
  );
  const forgetUsage = db.prepare('DELETE FROM model_usage WHERE id < ?');
  let jobsUntilSweep = 0;
  let usageUntilSweep = 0;
  let head = readHead();

  function readHead(): AuditHead {
    const row = getMeta.get('audit.head');
    return row === undefined ? { seq: 0, hash: GENESIS } : (JSON.parse(String(row['value'])) as AuditHead);
  }

  function inTransaction<T>(work: () => T): T {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  function appendAudit(last: AuditHead, entry: AuditEntry): AuditHead {
    const record = { seq: last.seq + 1, previous: last.hash, ...entry };
    const hash = createHash('sha256').update(auditText(record)).digest('hex');
    append.run(record.seq, entry.at, entry.action, entry.by, JSON.stringify(entry.detail), record.previous, hash);
    return { seq: record.seq, hash };
  }

  function putLockdown(value: Lockdown | null): void {
    if (value === null) dropMeta.run(LOCKDOWN);
    else putMeta.run(LOCKDOWN, JSON.stringify(value));
  }

  return {
    head: () => head,
    lockdown(): Lockdown | null {
      const row = getMeta.get(LOCKDOWN);
      return row === undefined ? null : (JSON.parse(String(row['value'])) as Lockdown);
    },
    nextEpoch: () =>
      inTransaction(() => {
        const epoch = Number(getMeta.get('epoch')?.['value'] ?? 0) + 1;
        putMeta.run('epoch', String(epoch));
        return epoch;
      }),
    transaction(changes: readonly Change[]) {
      head = inTransaction(() => {
        let next = head;
        for (const change of changes) {
          if (change.type === 'audit') next = appendAudit(next, change.entry);
          else if (change.type === 'lockdown') putLockdown(change.value);
          else if (change.type !== 'job' && change.value === null) drops[change.type].run(change.id);
          else puts[change.type].run(change.id, JSON.stringify(change.value));
        }
        if (next !== head) putMeta.run('audit.head', JSON.stringify(next));
        if (changes.some(({ type }) => type === 'job') && --jobsUntilSweep <= 0) {
          forgetJobs.run();
          jobsUntilSweep = 100;
        }
        if (changes.some(({ type }) => type === 'model_usage') && --usageUntilSweep <= 0) {
          forgetUsage.run(usageFrom(new Date(Date.now() - USAGE_DAYS * 86_400_000).toISOString().slice(0, 10)));
          usageUntilSweep = 1000;
        }
        return next;
      });
    },
  };
}

function preparePuts(db: DatabaseSync) {
  const put = (table: Table | 'job') => db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`);
  return {
    member: put('member'),
    request: put('request'),
    token: put('token'),
    openclaw_node: put('openclaw_node'),
    openclaw_rejection: put('openclaw_rejection'),
    operator: put('operator'),
    model_route: put('model_route'),
    model_key: put('model_key'),
    model_spending: put('model_spending'),
    model_usage: put('model_usage'),
    job: put('job'),
  };
}

function prepareDrops(db: DatabaseSync) {
  const drop = (table: Table) => db.prepare(`DELETE FROM ${table} WHERE id = ?`);
  return {
    member: drop('member'),
    request: drop('request'),
    token: drop('token'),
    openclaw_node: drop('openclaw_node'),
    openclaw_rejection: drop('openclaw_rejection'),
    operator: drop('operator'),
    model_route: drop('model_route'),
    model_key: drop('model_key'),
    model_spending: drop('model_spending'),
    model_usage: drop('model_usage'),
  };
}

/** What is kept one row each, as JSON. */
type Table =
  | 'member'
  | 'request'
  | 'token'
  | 'openclaw_node'
  | 'openclaw_rejection'
  | 'operator'
  | 'model_route'
  | 'model_key'
  | 'model_spending'
  | 'model_usage';

function all<T>(db: DatabaseSync, table: Table): T[] {
  const rows = db.prepare(`SELECT value FROM ${table} ORDER BY id`).all();
  return rows.map(({ value }) => JSON.parse(String(value)) as T);
}

/** The least id of a row of that day: ids are JSON and begin with it. */
function usageFrom(day: string): string {
  return `["${day}`;
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
