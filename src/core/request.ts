import type { TailnetMachine } from '#src/core/identity.ts';
import type { Role } from '#src/core/node.ts';

/**
 * What is asked for: `join` a node wants to be a member; `more` a member wants to offer more than it was granted;
 * `moved` a member's key asks from another machine; `device` and `surface` OpenClaw's own node host or app wants to be
 * paired with the gateway, and then to offer its commands; `operator` a person on another machine wants to steer.
 */
export const REQUEST_KINDS = ['join', 'more', 'moved', 'device', 'surface', 'operator'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** `node-host` stands for OpenClaw's own nodes, which are no members. */
export type RequestRole = Role | 'node-host' | 'operator';

/** One that waits for a person or the rules. What it says of itself is said by whoever has its key. */
export interface WaitingRequest {
  readonly kind: RequestKind;
  /** What an approval names, hex; of a node and an operator the same as `keyId`. */
  readonly id: string;
  /** SHA-256 of the asker's public key, hex: what the fingerprint is of. */
  readonly keyId: string;
  readonly name: string;
  readonly role: RequestRole;
  /** IP address of the peer. */
  readonly address: string;
  readonly tailnet: TailnetMachine | null;
  /** False while the tailnet can’t be asked: no rule decides before it was. */
  readonly isIdentified: boolean;
  /** Of our program; null where it runs none. */
  readonly version: string | null;
  readonly openclawVersion: string | null;
  readonly platform: string | null;
  readonly arch: string | null;
  readonly offers: readonly string[];
  /** That it would offer to OpenClaw; null where that is not known yet. */
  readonly commands: readonly string[] | null;
  /** Name of the join token that it proved to have, which leaves the decision to the rules. */
  readonly token: string | null;
  readonly rejected: boolean;
  /** Milliseconds since the epoch, as all times here. */
  readonly firstAskedAt: number;
  readonly lastAskedAt: number;
  /** When it is gone by itself; null where it asks as long as it is there. */
  readonly expiresAt: number | null;
}

/** Who lets it in, and what it gets. */
export interface Approval {
  readonly by: string;
  /** Lets a new key or machine take the place of a member; its former holder is revoked. */
  readonly replace: boolean;
  /** Whether a node that joins by it may offer models; unless it says so, it may not. */
  readonly models?: boolean;
  /** Those that the operator gave it before stay as they are. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly groups?: readonly string[];
}
