import { existsSync } from 'node:fs';
import { succeed } from './command.ts';

/** What the lab needs of Debian, by a program of each package. */
const PACKAGES = {
  'systemd-nspawn': 'systemd-container',
  mmdebstrap: 'mmdebstrap',
  ip: 'iproute2',
  nft: 'nftables',
  nsenter: 'util-linux',
  mount: 'mount',
  ssh: 'openssh-client',
  openssl: 'openssl',
  tar: 'tar',
};

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/go/bin'];

/** Names of the programs that this host lacks. */
export function missingPrograms(): string[] {
  return Object.keys(PACKAGES).filter((program) => programOnHost(program) === null);
}

/** Path of a program, on PATH or where Debian keeps those of root and Go's makers theirs. */
export function programOnHost(program: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...FOLDERS];
  return folders.map((folder) => `${folder}/${program}`).find((path) => existsSync(path)) ?? null;
}

/** Installs what is missing with the host's own apt-get. */
export async function installPrograms(): Promise<void> {
  const packages = Object.entries(PACKAGES).flatMap(([program, name]) => (programOnHost(program) === null ? name : []));
  if (packages.length === 0) return;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await succeed(['apt-get', 'update', '-q'], { env });
  await succeed(['apt-get', 'install', '-q', '-y', '--no-install-recommends', ...packages], { env });
}
