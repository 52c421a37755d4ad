import type { TailnetMachine } from '#src/core/identity.ts';
import type { NodeFacts, Role } from '#src/core/node.ts';

/** An admitted node. All times are milliseconds since the epoch, given by the caller. */
export interface Member extends AtGateway {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  /** Id that it had before it rotated its key; null where it never did. */
  readonly formerId: string | null;
  /** Ids that it had lately and when it left each, the latest last. */
  readonly rotations: readonly Rotation[];
  /** The machine that the key belongs to; null until the tailnet has told one. */
  readonly tailnet: TailnetMachine | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  /** Set by the operator: what means all nodes, or a group, leaves it out. */
  readonly drained: boolean;
  /** Of no use any more: it is in no list. Its key stays barred, as that of each that was revoked. */
  readonly pruned: boolean;
  readonly facts: NodeFacts;
  /** What it may offer: what was approved. `facts.offers` is never more than that. */
  readonly granted: readonly string[];
  /** What its node host may offer to OpenClaw; null where it was approved before that was asked. */
  readonly grantedCommands: readonly string[] | null;
  /** Whether other nodes and keys may be served by its models: who serves a request reads it. */
  readonly grantedModels: boolean;
  readonly approvedAt: number;
  readonly approvedBy: string;
  readonly lastSeenAt: number;
  readonly revokedAt: number | null;
}

/** What there is of a member at the OpenClaw gateway. */
export interface AtGateway {
  readonly openclaw: OpenClawDevice | null;
  /** Other devices that are to go there: one that it had before, or one that only had its setup code. */
  readonly leaving: readonly string[];
  /** Those that were given out for it and may still be used. */
  readonly setupCodes: readonly OpenSetupCode[];
}

/** Good for whoever has the code itself, which is kept nowhere. */
export interface OpenSetupCode {
  readonly setupId: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A change of a key. */
export interface Rotation {
  readonly from: string;
  readonly at: number;
}

/** Ids that it had, as far as they are remembered. */
export function formerIds({ formerId, rotations }: Pick<Member, 'formerId' | 'rotations'>): readonly string[] {
  return [...new Set([...rotations.map(({ from }) => from), ...(formerId === null ? [] : [formerId])])];
}

/** The device that a member's node host is at the OpenClaw gateway. */
export interface OpenClawDevice {
  readonly deviceId: string;
  /** Set by a revocation, cleared when the gateway confirmed that the device is gone. */
  readonly removing: boolean;
}

/** What a store of an earlier version does not have. */
type Later =
  | 'formerId'
  | 'rotations'
  | 'tailnet'
  | 'groups'
  | 'drained'
  | 'pruned'
  | 'grantedCommands'
  | 'grantedModels'
  | 'leaving'
  | 'setupCodes';
export type StoredMember = Omit<Member, Later | 'facts'> &
  Partial<Pick<Member, Later>> & { readonly facts: Omit<NodeFacts, 'openclaw' | 'commands'> & Partial<NodeFacts> };

export function memberFrom(stored: StoredMember): Member {
  return {
    ...{
      formerId: null,
      rotations: [],
      tailnet: null,
      groups: [],
      drained: false,
      pruned: false,
      grantedCommands: null,
      // Whoever could offer models before that was asked goes on.
      grantedModels: true,
      leaving: [],
      setupCodes: [],
    },
    ...stored,
    facts: { openclaw: null, commands: [], ...stored.facts },
  };
}
