import type { DeployFlags } from '#src/cli/deploy-flags.ts';
import type { MasterAddress } from '#src/cli/master-address.ts';
import { HUB_PORT } from '#src/cli/master-address.ts';
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
  readonly token: Wanted['token'];
  readonly flags: DeployFlags;
}

/** What the command line asks for, with the defaults filled in. */
export function wantedOf({ role, master, scope, token, flags }: Asked): Wanted {
  return {
    role,
    master,
    name: flags.name ?? null,
    scope,
    runAs: flags.runAs ?? null,
    token,
    light: flags.light ?? false,
    keepGateway: flags.keepGateway ?? role === 'hybrid',
    // Nothing runs on the master unless its own settings say so.
    exec: flags.exec ?? (role === 'master' ? 'allowlist' : 'full'),
    commands: flags.commands ?? COMMANDS,
    port: flags.port ?? HUB_PORT,
    openclawVersion: flags.openclawVersion ?? OPENCLAW_VERSION,
    tailscale: {
      use: flags.tailscale ?? true,
      baseUrl: flags.tailscaleBaseUrl ?? TAILSCALE_BASE_URL,
      version: TAILSCALE_VERSION,
      authKeyFile: flags.authKeyFile ?? null,
      loginServer: flags.loginServer ?? null,
    },
    foreground: false,
  };
}
