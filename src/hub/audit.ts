import { createHash } from 'node:crypto';
import type { Store } from '#src/adapters/store/store.ts';
import type { AuditRecord } from '#src/core/audit.ts';
import { auditChecker } from '#src/core/audit.ts';
import type { AuditVerdict } from '#src/protocol/hub-api/audit.ts';

export interface AuditLog {
  /** The last `limit` records, in their order. */
  latest(limit: number): Promise<AuditRecord[]>;
  verify(): Promise<AuditVerdict>;
}

/** Records that are read at once: a long audit must not fill the memory. */
const PAGE = 1000;

export function auditLog(store: Store): AuditLog {
  return {
    async latest(limit) {
      const { seq } = await store.auditHead();
      return store.audit(Math.max(0, seq - limit), limit);
    },
    async verify() {
      // The head first: what is appended while this reads is not part of the question.
      const head = await store.auditHead();
      const checker = auditChecker((text) => createHash('sha256').update(text).digest('hex'));
      for (let after = 0; after < head.seq; after += PAGE) {
        for (const record of await store.audit(after, Math.min(PAGE, head.seq - after))) {
          const fault = checker.add(record);
          if (fault !== null) return { whole: false, records: head.seq, fault };
        }
      }
      const fault = checker.end(head);
      return { whole: fault === null, records: head.seq, fault };
    },
  };
}
