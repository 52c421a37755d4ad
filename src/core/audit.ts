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

/** Follows a chain record by record and names its first fault: an edit, a gap, a reordering or a cut end. */
export interface AuditChecker {
  add(record: AuditRecord): AuditFault | null;
  end(head: AuditHead): AuditFault | null;
}

export function auditChecker(sha256: (text: string) => string): AuditChecker {
  let last: AuditHead = { seq: 0, hash: GENESIS };

  function fault(record: AuditRecord): string | null {
    if (record.seq !== last.seq + 1) return `follows record ${last.seq}`;
    if (record.previous !== last.hash) return 'does not hold the hash of the one before';
    return record.hash === sha256(auditText(record)) ? null : 'was changed';
  }

  return {
    add(record) {
      const problem = fault(record);
      if (problem !== null) return { seq: record.seq, problem };
      last = record;
      return null;
    },
    end(head) {
      if (last.seq === head.seq && last.hash === head.hash) return null;
      return { seq: last.seq, problem: `is the last, but ${head.seq} were written` };
    },
  };
}
