import type { Role } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Scope } from '#src/deploy/place.ts';

/** What the person asked for; defaults are filled in. Remembered in the record, for `--resume`: no secrets. */
export interface Wanted {
  readonly role: Role;
  /** The hub of a worker or hybrid; null on a master. */
  readonly master: { readonly host: string; readonly port: number } | null;
  /** Null: the host name, made to fit. */
  readonly name: string | null;
  readonly scope: Scope;
  /** Whom the worker of a whole machine runs commands as; null in the scope of a user, who does it themselves. */
  readonly runAs: string | null;
  /** Where a join token comes from: `given` by the person, `minted` by the master that we run on. */
  readonly token: 'given' | 'minted' | null;
  /** No OpenClaw on a worker or hybrid. */
  readonly light: boolean;
  /** Leaves a worker's own gateway as it is. */
  readonly keepGateway: boolean;
  readonly exec: Settings['worker']['exec']['mode'];
  /** Command ceiling of the node host. */
  readonly commands: readonly string[];
  readonly port: number;
  readonly openclawVersion: string;
  readonly tailscale: {
    /** Whether the federation is reached by the tailnet; false where every address is a loopback or LAN one. */
    readonly use: boolean;
    readonly baseUrl: string;
    readonly version: string;
    readonly authKeyFile: string | null;
    readonly loginServer: string | null;
  };
  /** Daemons run as children of the command, without units: for containers. */
  readonly foreground: boolean;
}
