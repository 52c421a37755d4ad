import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Change } from '#src/adapters/store/store.ts';
import type { AuditEntry, AuditHead } from '#src/core/audit.ts';
import { auditText, GENESIS } from '#src/core/audit.ts';
import type { Lockdown } from '#src/core/lockdown.ts';

/** Jobs that are kept; the audit keeps all for ever. */
const JOBS_KEPT = 10_000;

/** How long is kept what was used of models. */
const USAGE_DAYS = 400;

/** Key of the lockdown in `meta`. */
const LOCKDOWN = 'lockdown';

/** All that changes the store, each in a transaction of its own or together with others. */
export function prepareWriter(db: DatabaseSync) {
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
    handoff: put('handoff'),
    handoff_work: put('handoff_work'),
    handoff_end: put('handoff_end'),
    message: put('message'),
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
    handoff: drop('handoff'),
    handoff_work: drop('handoff_work'),
    handoff_end: drop('handoff_end'),
    message: drop('message'),
  };
}

/** What is kept one row each, as JSON. */
export type Table =
  | 'member'
  | 'request'
  | 'token'
  | 'openclaw_node'
  | 'openclaw_rejection'
  | 'operator'
  | 'model_route'
  | 'model_key'
  | 'model_spending'
  | 'model_usage'
  | 'handoff'
  | 'handoff_work'
  | 'handoff_end'
  | 'message';

/** The least id of a row of that day: ids are JSON and begin with it. */
export function usageFrom(day: string): string {
  return `["${day}`;
}
