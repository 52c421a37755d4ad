import { makeAuthority } from './authority.ts';
import { makeBase } from './base.ts';
import type { Machine } from './machine.ts';
import { makeMachine } from './machine.ts';
import { openNetwork } from './network.ts';
import type { Run } from './run-folder.ts';
import { makeRun, removeRun } from './run-folder.ts';
import type { Addresses, HostKey, Ssh } from './ssh.ts';
import { knownHostsOf, makeHostKey, makeLabKey, makeSsh, sshFiles } from './ssh.ts';

export interface LabOptions {
  /** How many: they are m1, m2, … */
  readonly machines: number;
}

/** Machines with systemd on a network of their own. */
export interface Lab {
  readonly run: Run;
  /** Folder with an `ssh` which, first on PATH, reaches the machines by name or address. */
  readonly sshPath: string;
  /** File with the keys of all machines, as that `ssh` uses it. */
  readonly knownHosts: string;
  machine(name: string): Machine;
  machines(): Machine[];
  /** Ends and removes everything, whatever state it is in. */
  close(): Promise<void>;
}

/** Resolves when all machines are up. Needs root, and all that `obstacles.ts` looks for. */
export async function openLab({ machines: count }: LabOptions): Promise<Lab> {
  const run = await makeRun();
  try {
    const network = await openNetwork(run);
    const authority = await makeAuthority();
    const base = await makeBase();
    const key = await makeLabKey();
    const names = Array.from({ length: count }, (_, index) => `m${index + 1}`);
    const addresses: Addresses = Object.fromEntries(names.map((name, index) => [name, `10.77.0.${11 + index}`]));
    const keys = Object.fromEntries(
      await Promise.all(names.map(async (name): Promise<[string, HostKey]> => [name, await makeHostKey(run, name)])),
    );
    const known = knownHostsOf(addresses, keys);
    const ssh: Ssh = await makeSsh(run, network, key, addresses, known);
    const machines = await Promise.all(
      Object.entries(keys).map(([name, own]) =>
        makeMachine(run, network, {
          name,
          address: addresses[name] ?? '',
          base,
          authority: authority.certificate,
          files: [...sshFiles(key, own, known), ...filesOf(name, addresses)],
        }),
      ),
    );
    await Promise.all(machines.map((machine) => machine.start()));
    return {
      run,
      sshPath: ssh.path,
      knownHosts: ssh.knownHosts,
      machines: () => machines,
      machine(name) {
        const found = machines.find((machine) => machine.name === name);
        if (found === undefined) throw new Error(`no machine ${name}: there are ${names.join(', ')}`);
        return found;
      },
      close: () => removeRun(run),
    };
  } catch (error) {
    await removeRun(run);
    throw error;
  }
}

/** An empty machine-id gets its own at the first start (machine-id(5)); nothing outside the lab has a name. */
function filesOf(name: string, addresses: Addresses) {
  const hosts = Object.entries(addresses).map(([other, address]) => `${address} ${other}\n`);
  return [
    { path: '/etc/hostname', content: `${name}\n` },
    { path: '/etc/machine-id', content: '' },
    { path: '/etc/resolv.conf', content: '' },
    { path: '/etc/hosts', content: `127.0.0.1 localhost\n127.0.1.1 ${name}\n${hosts.join('')}` },
  ];
}
