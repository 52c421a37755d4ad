/** What a doctor found out about one thing. */
export interface Finding {
  /** Short, in the order of a table: `disk`, `node pi`. */
  readonly check: string;
  /** `warn`: it works, and should not stay so. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly found: string;
  /** Why it matters and the command that mends it. Where all is well they stand for what may be narrowed. */
  readonly why?: string;
  readonly mend?: string;
}
