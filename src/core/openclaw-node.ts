/** A node that runs only OpenClaw's own node host or app, and that this hub let in. Times are milliseconds since the epoch. */
export interface OpenClawNode {
  /** SHA-256 of its public key, hex: the gateway's id of it. */
  readonly deviceId: string;
  readonly name: string;
  readonly approvedAt: number;
  readonly approvedBy: string;
  /** The rule that approved it; null where a person did. */
  readonly rule: string | null;
  /** What it offered when that was approved; null while that is still to come. */
  readonly commands: readonly string[] | null;
  /** Set by a revocation; the record goes when the gateway confirmed that the device is gone. */
  readonly removing: boolean;
}
