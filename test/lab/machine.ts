import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import type { Power } from './boot.ts';
import { powerOf } from './boot.ts';
import { makeCgroup } from './cgroups.ts';
import type { CommandOptions, Finished } from './command.ts';
import { run, succeed } from './command.ts';
import type { Network } from './network.ts';
import type { Run } from './run-folder.ts';

/** A person of the machine: `claw` may use sudo without a password, `pat` may not use it. */
export type User = 'root' | 'claw' | 'pat';

export interface RunOptions extends CommandOptions {
  /** Who runs it, in a session of their own; root if not said. */
  readonly user?: User;
}

export interface WriteOptions {
  readonly owner?: User;
  /** Octal, 644 if not said. */
  readonly mode?: string;
}

/** A machine with systemd. What is run in it goes past the network, so it can be asked while it is cut off. */
export interface Machine {
  readonly name: string;
  readonly address: string;
  /** Its root folder as this host sees it. */
  readonly root: string;
  run(argv: readonly string[], options?: RunOptions): Promise<Finished>;
  /** What it printed; rejects, with its last words, where it did not end well. */
  succeed(argv: readonly string[], options?: RunOptions): Promise<string>;
  read(path: string): Promise<string>;
  write(path: string, content: string, options?: WriteOptions): Promise<void>;
  /** What `systemctl is-system-running` says once it is up: `running` where no unit failed, else `degraded`. */
  state(): Promise<string>;
  /** Resolves when it is up again. */
  reboot(): Promise<void>;
  /** Takes the power away: nothing of it gets to end properly. */
  crash(): Promise<void>;
  /** Shuts down. */
  stop(): Promise<void>;
  /** Switches on a machine that crashed or was stopped; resolves when it is up. */
  start(): Promise<void>;
  /** From now on every packet from and to it is lost, with no sign of it. */
  cut(): Promise<void>;
  /** The cable is out, which the machine sees. */
  unplug(): Promise<void>;
  /** Undoes `cut` and `unplug`. */
  restore(): Promise<void>;
}

/** What a machine has of its own from its first start. */
export interface MachineParts {
  readonly name: string;
  readonly address: string;
  readonly base: string;
  /** Files of the machine by path, each with its mode. */
  readonly files: readonly MachineFile[];
  /** Certificate that the machine trusts, beside Debian's. */
  readonly authority: string;
}

export interface MachineFile {
  readonly path: string;
  readonly content: string;
  readonly mode?: number;
  readonly owner?: User;
}

const IDS: Record<User, string> = { root: '0:0', claw: '1000:1000', pat: '1001:1001' };

/** Standard input is a socket here, which /dev/stdin can't open. */
const WRITE = 'install -D -m "$2" -o "$3" -g "$3" /dev/null "$1"; cat >"$1"';

/** systemd's own signals to its first process (systemd(1)): SIGRTMIN+4 powers off, SIGRTMIN+5 reboots. */
const POWER_OFF = 38;
const REBOOT = 39;

/** Makes a machine and switches it on; `start` resolves it to one that is up. */
export async function makeMachine(lab: Run, network: Network, parts: MachineParts): Promise<Machine> {
  const { name, address } = parts;
  const root = await layOut(lab, parts);
  const console = join(lab.folder, name, 'console');
  const power = powerOf({
    id: network.namespace(name),
    hostname: name,
    root,
    cgroup: makeCgroup(network.namespace(name)),
    console,
    plug: () => network.plug(name, address),
    unplug: () => network.remove(name),
  });

  async function signal(number: number): Promise<number> {
    const leader = await power.leader();
    if (leader === null) throw new Error(`${name} is off`);
    process.kill(leader, number);
    return leader;
  }

  const machine: Machine = {
    name,
    address,
    root,
    run: async (argv, { user = 'root', ...options } = {}) => run(await inside(power, name, user, argv), options),
    succeed: async (argv, { user = 'root', ...options } = {}) =>
      succeed(await inside(power, name, user, argv), options),
    read: (path) => machine.succeed(['cat', path]),
    async write(path, content, { owner = 'root', mode = '644' } = {}) {
      await machine.succeed(['sh', '-ec', WRITE, 'sh', path, mode, owner], { input: content });
    },
    state: () => untilUp(power, name, console),
    async reboot() {
      const before = await signal(REBOOT);
      await eventually(`${name} starts again`, async () => ![null, before].includes(await power.leader()), 60_000);
      await untilUp(power, name, console);
    },
    async crash() {
      await signal(9);
      await power.off();
    },
    async stop() {
      await signal(POWER_OFF);
      await power.off();
    },
    async start() {
      await power.on();
      await untilUp(power, name, console);
    },
    cut: () => network.cut(name),
    unplug: () => network.unplug(name),
    restore: () => network.restore(name),
  };
  return machine;
}

/** The machine's folder: the base, with what it changes in a layer of its own. */
async function layOut({ folder }: Run, { name, base, files, authority }: MachineParts): Promise<string> {
  const own = join(folder, name);
  const root = join(own, 'root');
  for (const part of ['up', 'work', 'root']) await mkdir(join(own, part), { recursive: true });
  // Volatile: what nobody mounts a second time need not reach the disk, which takes 12 s after OpenClaw was installed.
  const layers = `volatile,lowerdir=${base},upperdir=${join(own, 'up')},workdir=${join(own, 'work')}`;
  await succeed(['mount', '-t', 'overlay', 'overlay', '-o', layers, root]);
  for (const file of files) await put(root, file);
  await put(root, { path: '/usr/local/share/ca-certificates/lab.crt', content: authority });
  await appendFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), authority);
  return root;
}

async function put(root: string, { path, content, mode = 0o644, owner = 'root' }: MachineFile): Promise<void> {
  const file = join(root, path);
  const folder = join(file, '..');
  if (!existsSync(folder)) {
    await mkdir(folder, { mode: owner === 'root' ? 0o755 : 0o700 });
    await succeed(['chown', IDS[owner], folder]);
  }
  await writeFile(file, content);
  await chmod(file, mode);
  await succeed(['chown', IDS[owner], file]);
}

/**
 * Argv that runs `argv` through the machine's first process: in its cgroups, with its capabilities. What nsenter
 * itself runs as root has those of the host, and could set the host's clock.
 */
async function inside(power: Power, name: string, user: User, argv: readonly string[]): Promise<string[]> {
  const home = user === 'root' ? '/root' : `/home/${user}`;
  const session = user === 'root' ? [] : [`--uid=${user}`, '--property=PAMName=login'];
  return enter(power, name, [
    ...['systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--property=Type=exec'],
    // One with a session counts as starting for as long as it runs (systemd 252), and would be ended after 90 s.
    '--property=TimeoutStartSec=infinity',
    ...[`--working-directory=${home}`, `--setenv=HOME=${home}`, '--setenv=LANG=C.UTF-8'],
    '--setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...[...session, '--', ...argv],
  ]);
}

async function enter(power: Power, name: string, argv: readonly string[]): Promise<string[]> {
  const leader = await power.leader();
  if (leader === null) throw new Error(`${name} is off`);
  return ['nsenter', '-t', String(leader), '-m', '-u', '-i', '-n', '-p', '-C', '-r', '-w', ...argv];
}

/** In the middle of a start there is nothing to ask yet: that too is not up. */
async function untilUp(power: Power, name: string, console: string): Promise<string> {
  return eventually(
    `${name} is up`,
    async () => {
      if (!power.isOn()) throw new Error(`${name} is off: ${(await readFile(console, 'utf8')).slice(-1000)}`);
      if ((await power.leader()) === null) return false;
      const { stdout } = await run(await enter(power, name, ['systemctl', 'is-system-running']));
      return /^(running|degraded)$/m.exec(stdout)?.[1];
    },
    60_000,
  );
}
