import { run, succeed } from './command.ts';
import type { Run } from './run-folder.ts';

/** The switch's own address, where the depot listens. */
export const SWITCH_ADDRESS = '10.77.0.254';

/**
 * A switch in a namespace of its own, and a namespace for each machine on it: 10.77.0.0/24, with no way to any other
 * network.
 */
export interface Network {
  /** Argv that runs `argv` beside the switch, from where every machine is reached. */
  atSwitch(argv: readonly string[]): string[];
  /** Path of a new namespace for `name`, with the address on eth0: what a machine finds when it is switched on. */
  plug(name: string, address: string): Promise<string>;
  /** Removes the namespace, if there is one. */
  remove(name: string): Promise<void>;
  namespace(name: string): string;
  /** From now on every packet from and to `name` is lost, with no sign of it. */
  cut(name: string): Promise<void>;
  /** The cable is out: the machine sees it. Like `cut` it may be off meanwhile, and finds it so when it starts. */
  unplug(name: string): Promise<void>;
  restore(name: string): Promise<void>;
}

const RULES = `table bridge lab {
  set cut { type ifname; }
  chain in { type filter hook prerouting priority -300; iifname @cut drop; }
  chain out { type filter hook postrouting priority 0; oifname @cut drop; }
}
`;

export async function openNetwork({ id }: Run): Promise<Network> {
  const hub = `${id}-switch`;
  const inSwitch = (...args: string[]) => succeed(['ip', '-n', hub, ...args]);
  const atSwitch = (argv: readonly string[]) => ['ip', 'netns', 'exec', hub, ...argv];
  const namespace = (name: string) => `${id}-${name}`;
  const unplugged = new Set<string>();
  const nft = (rules: string) => succeed(atSwitch(['nft', '-f', '-']), { input: rules });

  await succeed(['ip', 'netns', 'add', hub]);
  await inSwitch('link', 'add', 'br0', 'type', 'bridge');
  await inSwitch('addr', 'add', `${SWITCH_ADDRESS}/24`, 'dev', 'br0');
  await inSwitch('link', 'set', 'br0', 'up');
  await inSwitch('link', 'set', 'lo', 'up');
  await nft(RULES);

  /** The cable goes first: the kernel takes its time to free that of a removed namespace. */
  async function remove(name: string): Promise<void> {
    await run(['ip', '-n', hub, 'link', 'del', name]);
    await run(['ip', 'netns', 'del', namespace(name)]);
  }

  return {
    atSwitch,
    remove,
    namespace,
    async plug(name, address) {
      const own = namespace(name);
      await remove(name);
      await succeed(['ip', 'netns', 'add', own]);
      await inSwitch('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', own);
      await inSwitch('link', 'set', name, 'master', 'br0', unplugged.has(name) ? 'down' : 'up');
      await succeed(['ip', '-n', own, 'link', 'set', 'lo', 'up']);
      await succeed(['ip', '-n', own, 'addr', 'add', `${address}/24`, 'dev', 'eth0']);
      await succeed(['ip', '-n', own, 'link', 'set', 'eth0', 'address', hardwareAddress(address), 'up']);
      await succeed(['ip', '-n', own, 'route', 'add', 'default', 'via', SWITCH_ADDRESS]);
      return `/run/netns/${own}`;
    },
    cut: async (name) => void (await nft(`add element bridge lab cut { "${name}" }\n`)),
    async unplug(name) {
      unplugged.add(name);
      await run(['ip', '-n', hub, 'link', 'set', name, 'down']);
    },
    async restore(name) {
      // Adding first makes the removal succeed whether or not it was cut.
      await nft(`add element bridge lab cut { "${name}" }\ndelete element bridge lab cut { "${name}" }\n`);
      unplugged.delete(name);
      await run(['ip', '-n', hub, 'link', 'set', name, 'up']);
    },
  };
}

/** The same at each start, as a machine's is: the others remember it for minutes. */
function hardwareAddress(address: string): string {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return ['02', '00', ...bytes].join(':');
}
