import type { Change } from '#src/adapters/store/store.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';

/** What strangers make the audit say: each alone up to a number a minute, and of the rest how many there were. */
export interface StrangerAudit {
  /** The record, or none where it is only counted. */
  records(action: string, by: string, detail: AuditDetail): readonly Change[];
  /** The one record of those that were counted, as soon as their minute is over. */
  counted(): readonly Change[];
}

/** A person can read that many; keys cost nothing, and a disk has an end. */
const SINGLE_PER_MINUTE = 30;
const MINUTE_MS = 60_000;

export function createStrangerAudit({ record, now }: Pick<MembershipKeeper, 'record' | 'now'>): StrangerAudit {
  let since = now();
  let single = 0;
  let counts: Record<string, number> = {};

  function counted(): readonly Change[] {
    if (Math.abs(now() - since) < MINUTE_MS) return [];
    const left = counts;
    const detail = { since: new Date(since).toISOString(), records: left };
    [since, single, counts] = [now(), 0, {}];
    return Object.keys(left).length === 0 ? [] : [record('node.unrecorded', 'hub', detail)];
  }

  return {
    records(action, by, detail) {
      const before = counted();
      if (single < SINGLE_PER_MINUTE) {
        single += 1;
        return [...before, record(action, by, detail)];
      }
      counts[action] = (counts[action] ?? 0) + 1;
      return before;
    },
    counted,
  };
}
