/** While it is there, nothing runs on any node. */
export interface Lockdown {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly by: string;
  readonly reason: string | null;
}
