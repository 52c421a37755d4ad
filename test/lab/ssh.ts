import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { succeed } from './command.ts';
import type { MachineFile } from './machine.ts';
import type { Network } from './network.ts';
import type { Run } from './run-folder.ts';

/** A machine as others find and recognize it. */
export interface Host {
  readonly name: string;
  readonly address: string;
  readonly key: HostKey;
}

/** The key that opens every machine of the lab, for root, claw and pat. */
export interface LabKey {
  readonly path: string;
  readonly secret: string;
  readonly public: string;
}

/** What a machine shows who it is with. */
export interface HostKey {
  readonly secret: string;
  readonly public: string;
}

export interface Ssh {
  /** Folder with an `ssh` which, first on PATH, reaches the machines by name or address. */
  readonly path: string;
  readonly knownHosts: string;
}

export async function makeLabKey(): Promise<LabKey> {
  const folder = await cached('key', { type: 'ed25519' }, (cwd) => generate(join(cwd, 'id_ed25519')));
  const path = join(folder, 'id_ed25519');
  return { path, secret: await readFile(path, 'utf8'), public: await readFile(`${path}.pub`, 'utf8') };
}

export async function makeHostKey({ folder }: Run, name: string): Promise<HostKey> {
  const path = join(folder, `${name}.key`);
  await generate(path);
  return { secret: await readFile(path, 'utf8'), public: await readFile(`${path}.pub`, 'utf8') };
}

/** What of ssh a machine has: its own key, and for each person the lab's, to go in and out with. */
export function sshFiles(key: LabKey, own: HostKey, hosts: readonly Host[]): MachineFile[] {
  const people = [
    { owner: 'root', home: '/root' },
    { owner: 'claw', home: '/home/claw' },
    { owner: 'pat', home: '/home/pat' },
  ] as const;
  return [
    { path: '/etc/ssh/ssh_host_ed25519_key', content: own.secret, mode: 0o600 },
    { path: '/etc/ssh/ssh_host_ed25519_key.pub', content: own.public },
    { path: '/etc/ssh/ssh_known_hosts', content: knownHostsOf(hosts) },
    ...people.flatMap(({ owner, home }): MachineFile[] => [
      { path: `${home}/.ssh/authorized_keys`, content: key.public, owner, mode: 0o600 },
      { path: `${home}/.ssh/id_ed25519`, content: key.secret, owner, mode: 0o600 },
    ]),
  ];
}

/** A machine's name on the lab's network; alone, its name is that which the tailnet gives it. */
export function localName(name: string): string {
  return `${name}.lan`;
}

/** Lines of known_hosts(5): each machine by its names and address. */
export function knownHostsOf(hosts: readonly Host[]): string {
  return hosts.map(({ name, address, key }) => `${name},${localName(name)},${address} ${key.public}`).join('');
}

export async function makeSsh(lab: Run, network: Network, key: LabKey, hosts: readonly Host[]): Promise<Ssh> {
  const path = join(lab.folder, 'bin');
  const knownHosts = join(lab.folder, 'known_hosts');
  const config = join(lab.folder, 'ssh_config');
  const names = hosts.map(({ name, address }) => `Host ${name} ${localName(name)}\n  HostName ${address}\n`);
  const all = `Host *\n  IdentityFile ${key.path}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${knownHosts}\n`;
  const words = network.atSwitch(['/usr/bin/ssh', '-F', config]);
  await mkdir(path);
  await writeFile(knownHosts, knownHostsOf(hosts));
  await writeFile(config, `${names.join('')}${all}  GlobalKnownHostsFile /dev/null\n`);
  await writeFile(join(path, 'ssh'), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 });
  return { path, knownHosts };
}

async function generate(path: string): Promise<void> {
  await succeed(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', path]);
}
