import type { Finished } from './command.ts';
import type { Lab } from './lab.ts';
import type { Machine, RunOptions } from './machine.ts';

export interface DeployOptions extends RunOptions {
  /** Whose way into the tailnet it is, where another machine than this one is deployed. */
  readonly target?: Machine;
}

/** Deploys the machines of a lab as a person does who sits at them. */
export interface Deployer {
  /** By `claw` with sudo, `--yes`, and what it takes to get into the lab's tailnet. */
  deploy(machine: Machine, words: readonly string[], options?: DeployOptions): Promise<Finished>;
  /** The same of another program, such as one that npm has just brought. */
  deployBy(program: string, machine: Machine, words: readonly string[], options?: DeployOptions): Promise<Finished>;
  uninstall(machine: Machine): Promise<Finished>;
  /** The key that a machine gets into the tailnet with, as often as it is deployed. */
  authKey(machine: Machine): Promise<string>;
}

const KEY_FILE = '/home/claw/tailnet-key';
const CLAW = { user: 'claw' } as const;

export function deployerOf({ tailnet, tailscaleBaseUrl }: Lab): Deployer {
  const keys = new Map<string, Promise<string>>();

  function authKey({ name }: Machine): Promise<string> {
    const known =
      keys.get(name) ?? tailnet.authKey({ tags: [name === 'm1' ? 'tag:master' : 'tag:worker'], reusable: true });
    keys.set(name, known);
    return known;
  }

  async function deployBy(
    program: string,
    machine: Machine,
    words: readonly string[],
    { target = machine, ...options }: DeployOptions = {},
  ): Promise<Finished> {
    const access = ['--auth-key-file', KEY_FILE, '--login-server', tailnet.loginServer];
    const argv = ['sudo', program, ...words, ...access, '--tailscale-base-url', tailscaleBaseUrl, '--yes'];
    await machine.write(KEY_FILE, await authKey(target), { owner: 'claw', mode: '600' });
    try {
      return await machine.run(argv, { ...CLAW, ...options });
    } finally {
      await machine.succeed(['rm', KEY_FILE]);
    }
  }

  return {
    authKey,
    deployBy,
    deploy: (machine, words, options) => deployBy('deploy-federation', machine, words, options),
    uninstall: (machine) => machine.run(['sudo', 'deploy-federation', 'uninstall', '--yes'], CLAW),
  };
}
