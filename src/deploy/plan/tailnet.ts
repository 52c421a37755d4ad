import type { Action, Step } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { nodeNameFrom } from '#src/core/node.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

/** Tailscale is there, and the machine is in a tailnet. Throws TAILNET_DOWN where that takes root and there is none. */
export function tailnetSteps(facts: Facts, wanted: Wanted): Step[] {
  if (!wanted.tailscale.use) return [];
  const { installed, state } = facts.tailscale;
  const canInstall = facts.place.scope === 'system';
  if (installed === null && !canInstall) throw rootNeeded('Tailscale is not installed', 'deploy with sudo');
  if (state !== 'Running' && !canInstall) throw rootNeeded('this machine is in no tailnet', 'sudo tailscale up');
  return [
    {
      id: 'tailscale',
      title: 'Tailscale is installed',
      actions: installed === null ? [installation(facts, wanted)] : [],
    },
    ...(installed === null ? [] : [serviceStep(facts)]),
    {
      id: 'tailnet',
      title: 'the machine is in the tailnet',
      actions: state === 'Running' ? [] : [login(facts, wanted)],
    },
  ];
}

function serviceStep(facts: Facts): Step {
  const unit = { name: 'tailscaled.service', scope: 'system' } as const;
  const runs = { enabled: true, active: true };
  return {
    id: 'tailscale-service',
    title: 'tailscaled runs',
    // One that answers may be anybody's service.
    actions: facts.tailscale.state !== null ? [] : needed(facts, [{ do: 'unit', unit, want: runs, restart: false }]),
  };
}

function rootNeeded(message: string, hint: string): FederationError {
  return new FederationError('TAILNET_DOWN', message, { hint: `${hint}; or do without a tailnet: --no-tailscale` });
}

/** The distribution's own package where it has one; else the static build that Tailscale publishes. */
function installation({ tailscale: { packagedBy }, machine }: Facts, { tailscale }: Wanted): Action {
  const commands = packagedBy === null ? undefined : PACKAGE_COMMANDS[packagedBy];
  if (commands === undefined) {
    const folder = tailscale.baseUrl.replace(/\/+$/, '');
    return { do: 'tailscale', url: `${folder}/tailscale_${tailscale.version}_${ARCHITECTURES[machine.arch]}.tgz` };
  }
  return {
    do: 'run',
    title: `Install the package tailscale by ${packagedBy}`,
    argv: commands.install,
    owner: 'root',
    undo: commands.remove,
    hint: 'install Tailscale by hand (https://tailscale.com/download), then run this again',
  };
}

/** How the static builds name what Node calls x64 and arm64. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

interface PackageCommands {
  readonly install: readonly [string, ...string[]];
  readonly remove: readonly [string, ...string[]];
}

const PACKAGE_COMMANDS: Readonly<Record<string, PackageCommands>> = {
  'apt-get': {
    install: ['apt-get', 'install', '--yes', '--no-install-recommends', 'tailscale'],
    remove: ['apt-get', 'purge', '--yes', '--autoremove', 'tailscale'],
  },
  dnf: {
    install: ['dnf', 'install', '--assumeyes', 'tailscale'],
    remove: ['dnf', 'remove', '--assumeyes', 'tailscale'],
  },
  pacman: {
    install: ['pacman', '--sync', '--needed', '--noconfirm', 'tailscale'],
    remove: ['pacman', '--remove', '--nosave', '--recursive', '--noconfirm', 'tailscale'],
  },
  apk: { install: ['apk', 'add', 'tailscale'], remove: ['apk', 'del', 'tailscale'] },
  zypper: {
    install: ['zypper', '--non-interactive', 'install', 'tailscale'],
    remove: ['zypper', '--non-interactive', 'remove', '--clean-deps', 'tailscale'],
  },
};

function login({ machine }: Facts, { name, tailscale }: Wanted): Action {
  return {
    do: 'tailnet',
    authKeyFile: tailscale.authKeyFile,
    loginServer: tailscale.loginServer,
    hostname: name ?? nodeNameFrom(machine.hostname),
  };
}
