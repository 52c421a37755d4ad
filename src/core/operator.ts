import { FederationError } from '#src/core/errors.ts';
import type { Identity, TailnetMachine } from '#src/core/identity.ts';

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
  readonly revokedAt: number | null;
}

/** Whether the key speaks from another machine than the one that it was approved on. */
export function isOperatorElsewhere({ tailnet }: Operator, machine: TailnetMachine | null): boolean {
  return tailnet?.stableId !== machine?.stableId;
}

/** As lists and the audit name it, and no node or user can be named: `laptop@anns-mac (ann@example.com)`. */
export function operatorText({ name, tailnet }: Pick<Operator, 'name' | 'tailnet'>): string {
  return tailnet === null ? `${name}@loopback` : `${name}@${plain(tailnet.name)} (${ownerText(tailnet)})`;
}

/**
 * The machine of one who may operate, null where there is no tailnet to ask. Throws FORBIDDEN where it is no admin's,
 * TAILNET_DOWN where that can't be told. `admins`: login names, and tags as `tag:ops`.
 */
export function adminMachine(identity: Identity, admins: readonly string[]): TailnetMachine | null {
  switch (identity.kind) {
    case 'unasked':
      return null;
    case 'unknown':
      throw new FederationError(
        'TAILNET_DOWN',
        `the master’s tailnet can’t say which machine this is: ${identity.problem}`,
        {
          hint: 'on the master: tailscale status',
        },
      );
    case 'stranger':
      throw new FederationError('FORBIDDEN', 'only a machine of the tailnet may operate, and this one is none', {
        hint: 'tailscale status; on the master itself no login is needed',
      });
    case 'machine':
      if (isAdmins(identity.machine, admins)) return identity.machine;
      throw notAdmins(identity.machine);
  }
}

function isAdmins({ user, tags }: TailnetMachine, admins: readonly string[]): boolean {
  // A tagged machine is nobody's, whoever made it.
  if (tags.length > 0) return tags.some((tag) => admins.includes(tag));
  return user !== null && admins.some((admin) => admin.toLowerCase() === user.toLowerCase());
}

function notAdmins(machine: TailnetMachine): FederationError {
  const owner = ownerText(machine);
  const [first = owner] = owner.split(' ');
  return new FederationError(
    'FORBIDDEN',
    `only a machine of the federation’s admins may operate, and this one is of ${owner}`,
    {
      hint: `on the master in settings.yaml, under hub: admins: ["${first}"], then restart federation-hub`,
    },
  );
}

function ownerText({ user, tags }: TailnetMachine): string {
  return tags.length > 0 ? tags.map(plain).join(' ') : plain(user ?? 'nobody');
}

/** What a name of the tailnet may be in a line of ours. */
function plain(text: string): string {
  return text.slice(0, 64).replace(/[^\w.@:+-]/g, '?');
}
