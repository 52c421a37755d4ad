/** What happened, said before or after it did. Values are plain JSON and never hold a secret. */
export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `node.approve`, `job.start`, `job.end` … */
  readonly action: string;
  readonly by: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AuditRecord extends AuditEntry {
  readonly seq: number;
  /** Hash of the record before; the first has that of GENESIS. */
  readonly previous: string;
  readonly hash: string;
}

export const GENESIS = '0'.repeat(64);

/** The text that is hashed: all of a record but its own hash, in a fixed order. */
export function auditText(record: Omit<AuditRecord, 'hash'>): string {
  return JSON.stringify([record.seq, record.previous, record.at, record.action, record.by, record.detail]);
}

export interface AuditFault {
  readonly seq: number;
  readonly problem: string;
}

/** The end of the log as it was last written. It is what shows that records are missing from the end. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/** The first fault of a chain: an edit, a gap, a reordering or a cut end; null where it is whole. */
export function findAuditFault(
  records: Iterable<AuditRecord>,
  head: AuditHead,
  sha256: (text: string) => string,
): AuditFault | null {
  let last: AuditHead = { seq: 0, hash: GENESIS };
  for (const record of records) {
    if (record.seq !== last.seq + 1) return { seq: record.seq, problem: `follows record ${last.seq}` };
    if (record.previous !== last.hash) return { seq: record.seq, problem: 'does not hold the hash of the one before' };
    if (record.hash !== sha256(auditText(record))) return { seq: record.seq, problem: 'was changed' };
    last = record;
  }
  if (last.seq === head.seq && last.hash === head.hash) return null;
  return { seq: last.seq, problem: `is the last, but ${head.seq} were written` };
}
