/** While it is there, nothing runs on any node. */
export interface Lockdown {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly by: string;
  readonly reason: string | null;
}

/** Why nothing runs, in words. */
export function lockdownText({ by, reason }: Lockdown): string {
  return `the federation was locked down by ${by}${reason === null ? '' : ` (${reason})`}`;
}
