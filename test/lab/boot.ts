import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { eventually } from '../support/eventually.ts';
import { mortal } from './background.ts';

/** What a tailnet needs. A machine starts without it. */
export const TUN = '/dev/net/tun';

/** systemd-nspawn ends with this where the machine asked to be started again. */
const REBOOT = 133;

/** What it takes to start a machine's systemd. */
export interface Boot {
  /** Name on this host; the machine calls itself `hostname`. */
  readonly id: string;
  readonly hostname: string;
  readonly root: string;
  readonly cgroup: string;
  readonly console: string;
  /** Path of the network namespace to start in, called at each start. */
  plug(): Promise<string>;
  /** Called when it is off. */
  unplug(): Promise<void>;
}

/** The power of a machine. */
export interface Power {
  /** Id, on this host, of the machine's first process; null where it does not run. */
  leader(): Promise<number | null>;
  on(): Promise<void>;
  /** True until it is off for good: throughout a reboot too. */
  isOn(): boolean;
  /** Resolves when nothing of it runs any more. */
  off(): Promise<void>;
}

/** A machine that is off. It starts again by itself when it reboots, and dies with this process. */
export function powerOf(boot: Boot): Power {
  let nspawn: ChildProcess | null = null;
  let ended: Promise<unknown> = Promise.resolve();

  async function start(): Promise<void> {
    const namespace = await boot.plug();
    const console = await open(boot.console, 'a');
    // The shell enters the cgroup and becomes nspawn, so that nothing of the machine is ever outside.
    const enter = ['-c', 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"', 'sh', boot.cgroup];
    const argv = [...enter, ...mortal(nspawnArgv(boot, namespace))];
    const child = spawn('/bin/sh', argv, {
      stdio: ['ignore', console.fd, console.fd],
      detached: true,
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1',
        SYSTEMD_NSPAWN_LOCK: '0',
        SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network',
      },
    });
    nspawn = child;
    await Promise.all([once(child, 'spawn'), console.close()]);
    ended = once(child, 'exit').then(([code]) => (code === REBOOT ? start() : stop()));
  }

  async function stop(): Promise<void> {
    await boot.unplug();
    nspawn = null;
  }

  async function leader(): Promise<number | null> {
    const pid = nspawn?.pid;
    if (pid === undefined) return null;
    const children = await read(`/proc/${pid}/task/${pid}/children`);
    for (const child of children.split(' ').filter(Boolean)) {
      if ((await read(`/proc/${child}/comm`)) === 'systemd\n') return Number(child);
    }
    return null;
  }

  return {
    leader,
    async on() {
      if (nspawn !== null) throw new Error(`${boot.hostname} is on already`);
      await start();
    },
    isOn: () => nspawn !== null,
    async off() {
      await eventually(`${boot.hostname} is off`, () => nspawn === null, 60_000);
      await ended;
    },
  };
}

function nspawnArgv({ id, hostname, root }: Boot, namespace: string): string[] {
  return [
    'systemd-nspawn',
    '--quiet',
    '--boot',
    '--register=no',
    '--keep-unit',
    `--directory=${root}`,
    `--machine=${id}`,
    `--hostname=${hostname}`,
    `--network-namespace-path=${namespace}`,
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    '--capability=CAP_NET_ADMIN',
    ...(existsSync(TUN) ? [`--bind=${TUN}`] : []),
    '--console=pipe',
  ];
}

/** Empty where the process has ended. */
async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}
