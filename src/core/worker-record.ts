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
  readonly nodeHost: NodeHostPhase;
  /** Why the node host does not run, or last ended. */
  readonly nodeHostProblem: string | null;
}

/**
 * OpenClaw's node host on this node: `off` it is not wanted here, `waiting` there is nothing to start it for yet,
 * `running` its process is there, `connected` and the gateway says that it sees it.
 */
export type NodeHostPhase = 'off' | 'waiting' | 'running' | 'connected';
