import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { cached } from './cache.ts';
import { succeed } from './command.ts';

const RELEASE = 'bookworm';

/** dbus-user-session and libpam-systemd are what makes user services work. No Node, Tailscale or OpenClaw: deploying brings them. */
const PACKAGES = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'dbus-user-session',
  'libpam-systemd',
  'iproute2',
  'iputils-ping',
  'ca-certificates',
  'procps',
  'sudo',
  'curl',
  'policykit-1',
  'openssh-server',
  'tmux',
  'nftables',
  'util-linux',
];

/** `claw` may use sudo without a password, `pat` may not use it. */
const SET_UP = `set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
useradd --create-home --shell /bin/bash --uid 1000 claw
useradd --create-home --shell /bin/bash --uid 1001 pat
chmod 700 /home/claw /home/pat
printf 'claw ALL=(ALL) NOPASSWD:ALL\\n' >/etc/sudoers.d/claw
chmod 440 /etc/sudoers.d/claw
rm -f /etc/ssh/ssh_host_*
systemctl disable apt-daily.timer apt-daily-upgrade.timer
printf 'LANG=C.UTF-8\\n' >/etc/default/locale
apt-get clean
rm -rf /var/lib/apt/lists/*
`;

/** The root folder that every machine is laid over: Debian with systemd, ssh and two people. */
export async function makeBase(): Promise<string> {
  return cached('base', { RELEASE, PACKAGES, SET_UP }, async (folder) => {
    const include = `--include=${PACKAGES.join(',')}`;
    await succeed(['mmdebstrap', '--quiet', '--variant=minbase', include, RELEASE, folder, await mirror()]);
    await succeed(['chroot', folder, '/bin/sh', '-s'], { input: SET_UP });
  });
}

/** Where this host gets its own Debian packages. */
async function mirror(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = existsSync(folder) ? await readdir(folder) : [];
  const files = [...names.map((name) => `${folder}/${name}`).toSorted(), '/etc/apt/sources.list'];
  for (const file of files.filter((path) => existsSync(path))) {
    const text = await readFile(file, 'utf8');
    const uri = /^URIs: *(\S+\/debian)\/?$/m.exec(text)?.[1] ?? /^deb (?:\[.*\] )?(\S+\/debian)\/? /m.exec(text)?.[1];
    if (uri !== undefined) return uri;
  }
  throw new Error('this host names no Debian mirror in /etc/apt');
}
