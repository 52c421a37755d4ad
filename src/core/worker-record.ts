import type { ErrorBody } from '#src/core/errors.ts';

/** File in a worker's home that says how its link stands; it is there while the worker daemon runs. */
export const WORKER_RECORD_FILE = 'worker.json';

export interface WorkerRecord {
  readonly pid: number;
  readonly id: string;
  readonly name: string;
  readonly fingerprint: string;
  /** host:port of the hub. */
  readonly hub: string;
  readonly link: 'connecting' | 'waiting' | 'refused' | 'member';
  /** Why a plain approval is not enough. */
  readonly held: string | null;
  readonly problem: ErrorBody | null;
}
