import type { ErrorBody } from '#src/core/errors.ts';

/** File in a worker's home by which a person asks its daemon for a new key. */
export const KEY_ROTATION_REQUEST_FILE = 'rotate-key.json';

export interface KeyRotationRequest {
  /** Made up by whoever asks: the answer names it. */
  readonly id: string;
  /** Whether what runs there may be ended for it. */
  readonly endRunning: boolean;
}

/** File there in which the daemon says what became of it; the last one stays. */
export const KEY_ROTATION_FILE = 'key-rotation.json';

export interface KeyRotationRecord {
  /** Ids of the requests that this answers: who asks while one is under way gets the same. */
  readonly requests: readonly string[];
  readonly state: 'running' | 'done' | 'refused';
  /** Id of the node before. */
  readonly from: string;
  /** Id of the node after; null where it came to no new key. */
  readonly to: string | null;
  /** Why it was refused, or what keeps it from going on. */
  readonly problem: ErrorBody | null;
}
