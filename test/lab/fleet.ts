import { CONTROL_NAME, makeAuthority } from './authority.ts';
import { makeBase } from './base.ts';
import type { Machine, MachineFile } from './machine.ts';
import { makeMachine } from './machine.ts';
import type { Network } from './network.ts';
import type { Run } from './run-folder.ts';
import type { Host, Ssh } from './ssh.ts';
import { localName, makeHostKey, makeLabKey, makeSsh, sshFiles } from './ssh.ts';
import { CONTROL_ADDRESS } from './tailnet.ts';

/** The machines of a lab, and the way to them. */
export interface Fleet {
  readonly machines: readonly Machine[];
  readonly ssh: Ssh;
}

/** Resolves when all are up: m1 has 10.77.0.11, and so on. Each knows the others, by name and by ssh. */
export async function makeFleet(run: Run, network: Network, count: number, registryUrl: string): Promise<Fleet> {
  const names = Array.from({ length: count }, (_, index) => ({
    name: `m${index + 1}`,
    address: `10.77.0.${11 + index}`,
  }));
  const hosts = await Promise.all(names.map(async (host) => ({ ...host, key: await makeHostKey(run, host.name) })));
  const key = await makeLabKey();
  const base = await makeBase();
  const { certificate } = await makeAuthority();
  const ssh = await makeSsh(run, network, key, hosts);

  const machines = await Promise.all(
    hosts.map(({ name, address, key: own }) => {
      const files = [...namesFor(name, hosts), ...npmFiles(registryUrl), ...sshFiles(key, own, hosts)];
      return makeMachine(run, network, { name, address, base, authority: certificate, files });
    }),
  );
  await Promise.all(machines.map((machine) => machine.start()));
  return { machines, ssh };
}

/** An empty machine-id gets its own at the first start (machine-id(5)). There is no name server but the tailnet's. */
function namesFor(name: string, hosts: readonly Host[]): MachineFile[] {
  const others = hosts.map((other) => `${other.address} ${localName(other.name)}\n`);
  const control = `${CONTROL_ADDRESS} ${CONTROL_NAME}\n`;
  return [
    { path: '/etc/hostname', content: `${name}\n` },
    { path: '/etc/machine-id', content: '' },
    { path: '/etc/resolv.conf', content: '' },
    { path: '/etc/hosts', content: `127.0.0.1 localhost\n127.0.1.1 ${name}\n${others.join('')}${control}` },
  ];
}

function npmFiles(registryUrl: string): MachineFile[] {
  const content = `registry=${registryUrl}/\n`;
  return [
    { path: '/root/.npmrc', content },
    { path: '/home/claw/.npmrc', content, owner: 'claw' },
    { path: '/home/pat/.npmrc', content, owner: 'pat' },
  ];
}
