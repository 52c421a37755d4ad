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
  /** Not there in the record of an earlier version. */
  readonly models?: ModelsRecord;
}

/** What this node shares of models. */
export interface SharesRecord {
  /** Why its file can't be used; what is shared is as it was before then. */
  readonly problem: string | null;
  readonly upstreams: readonly {
    readonly name: string;
    /** How many are offered. */
    readonly models: number;
    readonly problem: string | null;
  }[];
}

export interface ModelsRecord extends SharesRecord {
  /** Loopback port of the model proxy; null where there is none. */
  readonly port: number | null;
  /** Why there is none, though there should be one. */
  readonly portProblem: string | null;
}

/**
 * OpenClaw's node host on this node: `off` it is not wanted here, `waiting` there is nothing to start it for yet,
 * `running` its process is there, `connected` and the gateway says that it sees it.
 */
export type NodeHostPhase = 'off' | 'waiting' | 'running' | 'connected';
