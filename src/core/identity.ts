/** A machine by the tailnet's word. */
export interface TailnetMachine {
  readonly stableId: string;
  readonly name: string;
  /** Null for a tagged machine, which belongs to nobody. */
  readonly user: string | null;
  readonly tags: readonly string[];
}

/** What the tailnet says of the address that a node comes from. */
export type Identity =
  | { readonly kind: 'machine'; readonly machine: TailnetMachine }
  /** No machine of the tailnet is there, or it is this one itself. */
  | { readonly kind: 'stranger' }
  /** The tailnet could not be asked. */
  | { readonly kind: 'unknown'; readonly problem: string }
  /** There is no tailnet to ask, and a key is all that tells nodes apart. */
  | { readonly kind: 'unasked' };

export function machineOf(identity: Identity): TailnetMachine | null {
  return identity.kind === 'machine' ? identity.machine : null;
}
