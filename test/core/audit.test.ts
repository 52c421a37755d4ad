import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { AuditRecord } from '#src/core/audit.ts';
import { auditChecker, auditText, GENESIS } from '#src/core/audit.ts';
import { randomNumbers } from '../support/random.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function chain(length: number): AuditRecord[] {
  const records: AuditRecord[] = [];
  for (let seq = 1; seq <= length; seq += 1) {
    const entry = { seq, previous: records.at(-1)?.hash ?? GENESIS, at: seq, action: 'job.start', by: 'ann' };
    const record = { ...entry, detail: { n: seq, argv: ['a', 'b'] } };
    records.push({ ...record, hash: sha256(auditText(record)) });
  }
  return records;
}

/** Number of the first record that is wrong; null for none. */
function faultOf(records: readonly AuditRecord[], head: { seq: number; hash: string }): number | null {
  const checker = auditChecker(sha256);
  for (const record of records) {
    const fault = checker.add(record);
    if (fault !== null) return fault.seq;
  }
  return checker.end(head)?.seq ?? null;
}

const RECORDS = chain(20);
const HEAD = RECORDS.at(-1)!;

test('a chain as it was written has no fault, also an empty one', () => {
  expect(faultOf(RECORDS, HEAD)).toBeNull();
  expect(faultOf([], { seq: 0, hash: GENESIS })).toBeNull();
});

test('an edit of any field of any record is found there', () => {
  const edits: ((record: AuditRecord) => Partial<AuditRecord>)[] = [
    ({ at }) => ({ at: at + 1 }),
    () => ({ action: 'job.end' }),
    () => ({ by: 'bob' }),
    ({ detail }) => ({ detail: { ...detail, n: 0 } }),
    () => ({ detail: {} }),
    () => ({ hash: GENESIS }),
    () => ({ previous: 'f'.repeat(64) }),
  ];
  for (const edit of edits) {
    for (const at of RECORDS.keys()) {
      const edited = RECORDS.map((record, n) => (n === at ? { ...record, ...edit(record) } : record));
      expect(faultOf(edited, HEAD)).toBe(at + 1);
    }
  }
});

test('an edit whose hash was made to fit is found at the next record, or at the end', () => {
  for (const at of RECORDS.keys()) {
    const forged = { ...RECORDS[at]!, by: 'bob' };
    const edited = RECORDS.with(at, { ...forged, hash: sha256(auditText(forged)) });
    expect(faultOf(edited, HEAD)).toBe(Math.min(at + 2, RECORDS.length));
  }
});

test('a record that is missing, doubled or moved is found, and so is a cut end', () => {
  for (const at of RECORDS.keys()) {
    expect(faultOf(RECORDS.toSpliced(at, 1), HEAD)).not.toBeNull();
    expect(faultOf(RECORDS.toSpliced(at, 0, RECORDS[at]!), HEAD)).not.toBeNull();
    expect(faultOf(RECORDS.slice(0, at), HEAD)).not.toBeNull();
  }
  const random = randomNumbers(3);
  for (let round = 0; round < 200; round += 1) {
    const one = Math.floor(random() * RECORDS.length);
    const other = (one + 1 + Math.floor(random() * (RECORDS.length - 1))) % RECORDS.length;
    expect(faultOf(RECORDS.with(one, RECORDS[other]!).with(other, RECORDS[one]!), HEAD)).not.toBeNull();
  }
});
