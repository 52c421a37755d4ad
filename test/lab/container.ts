import { eventually } from '../support/eventually.ts';
import type { Machine } from './machine.ts';

/** A program of pat’s that runs where there is no systemd. */
export interface Contained {
  /** All that it has said. */
  log(): Promise<string>;
  says(text: string): Promise<void>;
  /** TERM to the program itself, and to no other; resolves to its exit code when it has ended. */
  stop(): Promise<string>;
  /** Each process that is left of it or runs in it: state and command. */
  processes(): Promise<string[]>;
}

/** `first`: it is the first process of a container of its own; `plain`: one of many. Neither may become root. */
export type Seclusion = 'first' | 'plain';

/** $1… is the program. An empty /run has no sign of systemd, nor of a session. */
const ENTER = `mount -t tmpfs -o mode=755 tmpfs /run
cd /home/pat
exec setpriv --reuid=pat --regid=pat --init-groups --inh-caps=-all --no-new-privs \\
  env -i HOME=/home/pat PATH=/usr/local/bin:/usr/bin:/bin "$@"`;

/** What the machine's own systemd starts here it does not end: what the program leaves behind stays. */
export async function startContained(
  machine: Machine,
  name: string,
  seclusion: Seclusion,
  argv: readonly string[],
): Promise<Contained> {
  const unit = `${name}.service`;
  const namespaces = seclusion === 'first' ? ['--pid', '--fork', '--mount-proc'] : [];
  const enter = ['unshare', '--mount', ...namespaces, 'sh', '-euc', ENTER, 'sh'];
  await machine.succeed(['systemd-run', '--quiet', `--unit=${unit}`, '--property=KillMode=none', ...enter, ...argv]);
  const pids = async (): Promise<string[]> => {
    const { stdout } = await machine.run(['cat', `/sys/fs/cgroup/system.slice/${unit}/cgroup.procs`]);
    return stdout.split('\n').filter(Boolean);
  };
  const log = () => machine.succeed(['journalctl', `--unit=${unit}`, '--output=cat', '--no-pager']);
  const property = async (key: string) =>
    (await machine.succeed(['systemctl', 'show', unit, `--property=${key}`, '--value'])).trim();

  return {
    log,
    says: async (text) => void (await eventually(`it says ${text}`, async () => (await log()).includes(text), 30_000)),
    async stop() {
      const main = await property('MainPID');
      // In a container it is the child of what made the container.
      const program = seclusion === 'first' ? await machine.succeed(['pgrep', '--parent', main]) : main;
      await machine.succeed(['kill', '-TERM', program.trim()]);
      await eventually('it has ended', async () => (await property('MainPID')) === '0', 30_000);
      return property('ExecMainStatus');
    },
    async processes() {
      const found = await pids();
      if (found.length === 0) return [];
      const { stdout } = await machine.run(['ps', '-o', 'stat=,args=', '--pid', found.join(',')]);
      return stdout.split('\n').filter(Boolean);
    },
  };
}
