import type { HubAddress } from '#src/core/hub-address.ts';
import type { Role } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Scope } from '#src/deploy/place.ts';

export type ExecMode = Settings['worker']['exec']['mode'];

/** What the person asked for; defaults are filled in. Remembered in the record, for `--resume`: no secrets. */
export interface Wanted {
  readonly role: Role;
  /** The hub of a worker or hybrid; null on a master. */
  readonly master: HubAddress | null;
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
  /** Leads the person’s own OpenClaw, beside a worker or hybrid, to the models of the federation. */
  readonly useModels: boolean;
  /** What the master may run here; null: as fits the role. */
  readonly exec: ExecMode | null;
  /** Command ceiling of the node host. */
  readonly commands: readonly string[];
  readonly port: number;
  /** On a master: people of Telegram, by their numbers, who are the owner there; null: nobody was named. */
  readonly telegram: readonly string[] | null;
  readonly openclawVersion: string;
  readonly tailscale: {
    /** Whether the federation is reached by the tailnet; false where every address is a loopback or LAN one. */
    readonly use: boolean;
    readonly baseUrl: string;
    readonly version: string;
    readonly authKeyFile: string | null;
    readonly loginServer: string | null;
  };
}

/** The port of a hub. */
export const HUB_PORT = 19_000;

/** What is wanted where nobody says otherwise. */
export const DEFAULTS: Omit<Wanted, 'role' | 'master' | 'scope' | 'runAs' | 'token'> = {
  name: null,
  light: false,
  keepGateway: false,
  useModels: false,
  exec: null,
  // What a node host offers at most: running a command, and finding a program.
  commands: ['system.run', 'system.run.prepare', 'system.which'],
  port: HUB_PORT,
  telegram: null,
  // The newest releases that were tried with this version.
  openclawVersion: '2026.9.6',
  tailscale: {
    use: true,
    baseUrl: 'https://pkgs.tailscale.com/stable',
    version: '1.102.3',
    authKeyFile: null,
    loginServer: null,
  },
};

/** Nothing runs on the master unless a person, or its own settings, say so. */
export function execMode({ role, exec }: Pick<Wanted, 'role' | 'exec'>): ExecMode {
  return exec ?? (role === 'master' ? 'allowlist' : 'full');
}
