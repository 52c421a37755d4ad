import { resolve } from 'node:path';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { MasterAddress } from '#src/cli/deploy/master-address.ts';
import { HUB_PORT } from '#src/cli/deploy/master-address.ts';
import type { Role } from '#src/core/node.ts';
import type { Scope } from '#src/deploy/place.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

/** Newest releases that were tried with this version. */
const OPENCLAW_VERSION = '2026.9.6';
const TAILSCALE_VERSION = '1.102.3';
const TAILSCALE_BASE_URL = 'https://pkgs.tailscale.com/stable';

/** What a node host offers at most where nobody says otherwise: running a command, and finding a program. */
const COMMANDS = ['system.run', 'system.run.prepare', 'system.which'];

export interface Asked {
  readonly role: Role;
  readonly master: MasterAddress | null;
  readonly scope: Scope;
  readonly runAs: Wanted['runAs'];
  readonly token: Wanted['token'];
  readonly flags: DeployFlags;
  /** What was asked for before, which counts where no flag says otherwise. */
  readonly before?: Defaults;
}

/** What the command line asks for, with the defaults filled in. */
export function wantedOf({ role, master, scope, runAs, token, flags, before = DEFAULTS[role] }: Asked): Wanted {
  const { tailscale } = before;
  return {
    role,
    master,
    scope,
    runAs,
    token,
    name: flags.name ?? before.name,
    light: flags.light ?? before.light,
    keepGateway: flags.keepGateway ?? before.keepGateway,
    exec: flags.exec ?? before.exec,
    commands: flags.commands ?? before.commands,
    port: flags.port ?? before.port,
    openclawVersion: flags.openclawVersion ?? before.openclawVersion,
    tailscale: {
      ...tailscale,
      use: flags.tailscale === false ? false : tailscale.use,
      baseUrl: flags.tailscaleBaseUrl ?? tailscale.baseUrl,
      // It may be taken up in another folder.
      authKeyFile: flags.authKeyFile === undefined ? tailscale.authKeyFile : resolve(flags.authKeyFile),
      loginServer: flags.loginServer ?? tailscale.loginServer,
    },
    foreground: false,
  };
}

type Defaults = Omit<Wanted, 'role' | 'master' | 'scope' | 'runAs' | 'token' | 'foreground'>;

const WORKER: Defaults = {
  name: null,
  light: false,
  keepGateway: false,
  exec: 'full',
  commands: COMMANDS,
  port: HUB_PORT,
  openclawVersion: OPENCLAW_VERSION,
  tailscale: {
    use: true,
    baseUrl: TAILSCALE_BASE_URL,
    version: TAILSCALE_VERSION,
    authKeyFile: null,
    loginServer: null,
  },
};

const DEFAULTS: Readonly<Record<Role, Defaults>> = {
  worker: WORKER,
  hybrid: { ...WORKER, keepGateway: true },
  // Nothing runs on the master unless its own settings say so.
  master: { ...WORKER, exec: 'allowlist' },
};
