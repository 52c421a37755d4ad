import type { Action } from '#src/deploy/action.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

/**
 * What was done to a machine, kept there and written before each change: a deployment that was cut off is taken up by
 * it, and uninstall takes back what it says, last first.
 */
export interface DeploymentRecord {
  readonly version: 1;
  readonly wanted: Wanted;
  /**
   * `applying` until the last step is done, `removing` until all is taken back; `kept`: nothing is deployed any more, and
   * the entries say what a person wanted to keep.
   */
  readonly state: 'applying' | 'deployed' | 'removing' | 'kept';
  readonly entries: readonly RecordEntry[];
}

export interface RecordEntry {
  /** One thing of the machine: `write /etc/systemd/system/openclaw-worker.service`. First change first. */
  readonly key: string;
  readonly step: string;
  /** Without texts that are secret. */
  readonly action: Action;
  /** How it was before the first change, as the kind of action keeps it. */
  readonly before: unknown;
  /** SHA-256, hex, of each content that we put there: another one is a person's. */
  readonly wrote: readonly string[];
  readonly state: 'begun' | 'done';
}
