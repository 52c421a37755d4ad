import { randomFillSync } from 'node:crypto';
import { ulid } from 'ulid';

const pool = Buffer.alloc(4096);
let used = pool.length;

/** A ULID. Its random letters come from a pool: asking the system for each of the 16 takes longer than all else. */
export function createId(): string {
  return ulid(undefined, random);
}

function random(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.readUInt8(used++) / 256;
}
