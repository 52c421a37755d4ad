import type { TailnetMachine } from '#src/core/identity.ts';

/** A person on another machine who steers the federation with a key of their own. Times are milliseconds since the epoch. */
export interface Operator {
  /** SHA-256 of the public key, hex. */
  readonly id: string;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  readonly name: string;
  /** The machine that the key belongs to; null where there is no tailnet. */
  readonly tailnet: TailnetMachine | null;
  readonly approvedAt: number;
  readonly approvedBy: string;
}
