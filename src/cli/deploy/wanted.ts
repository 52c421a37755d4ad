import { resolve } from 'node:path';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Role } from '#src/core/node.ts';
import type { Scope } from '#src/deploy/place.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { DEFAULTS } from '#src/deploy/wanted.ts';

export interface Asked {
  readonly role: Role;
  readonly master: HubAddress | null;
  readonly scope: Scope;
  readonly runAs: Wanted['runAs'];
  readonly token: Wanted['token'];
  readonly flags: DeployFlags;
  /** What was asked for before, which counts where no flag says otherwise. */
  readonly before?: typeof DEFAULTS | undefined;
}

/** What the command line asks for, with the defaults filled in. */
export function wantedOf({ role, master, scope, runAs, token, flags, before = DEFAULTS }: Asked): Wanted {
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
    useModels: flags.useModels ?? before.useModels,
    exec: flags.exec ?? before.exec,
    commands: flags.commands ?? before.commands,
    port: flags.port ?? before.port,
    telegram: flags.telegramAllow ?? before.telegram,
    openclawVersion: flags.openclawVersion ?? before.openclawVersion,
    tailscale: {
      ...tailscale,
      use: flags.tailscale === false ? false : tailscale.use,
      baseUrl: flags.tailscaleBaseUrl ?? tailscale.baseUrl,
      // It may be taken up in another folder.
      authKeyFile: flags.authKeyFile === undefined ? tailscale.authKeyFile : resolve(flags.authKeyFile),
      loginServer: flags.loginServer ?? tailscale.loginServer,
    },
  };
}
