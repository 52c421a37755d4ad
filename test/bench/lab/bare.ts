import { eventually } from '../../support/eventually.ts';
import type { Lab } from '../../lab/lab.ts';
import type { Machine } from '../../lab/machine.ts';
import { seconds } from './seconds.ts';

/** A machine without anything of ours: what it takes there by plain tools alone, in seconds. */
export interface BareMachine {
  /** Installs OpenClaw with npm, from the registry that all machines have. */
  installOpenClaw(): Promise<number>;
  /** Starts OpenClaw's node host, until it knocks at its gateway. */
  startNodeHost(): Promise<number>;
  /** Fetches Tailscale, enters the tailnet, unpacks a release, and starts a program of it as a unit. */
  startRelease(): Promise<number>;
  /** From the order to reboot until systemd has started all. */
  reboot(): Promise<number>;
  /** Starts the command line, as root by sudo. */
  startCommand(): Promise<number>;
  /** From the moment on at which every packet of `lost` is dropped until a ping to it, of m1, has no answer for 1 s. */
  lose(lost: Machine): Promise<number>;
}

const PACKAGE = '/usr/lib/node_modules/openclaw-federation';
const CLAW = { user: 'claw' } as const;

const GIVE_NODE = `
cp "$1"/node_modules/node-linux-*/bin/node /usr/local/bin/node
tar -cf /root/release.tar -C "$1" .
`;

/** As we install it, so that both have the same to do. */
const INSTALL_OPENCLAW = `
rm -rf /opt/bare-openclaw && mkdir -p /opt/bare-openclaw && sync
`;
const NPM_INSTALL = [
  ...['node', `${PACKAGE}/node_modules/npm/bin/npm-cli.js`, 'install', '--global', '--prefix=/opt/bare-openclaw'],
  ...['--ignore-scripts=false', '--allow-scripts=@google/genai,koffi,protobufjs,openclaw'],
  ...['--cache=/opt/bare-openclaw/npm-cache', '--no-audit', '--no-fund', '--no-update-notifier', 'openclaw@2026.9.6'],
];

/** Its gateway is a server that waits for the first knock. */
const KNOCK = `
const { spawn } = require('node:child_process');
const server = require('node:net').createServer(() => process.exit());
server.listen(0, '127.0.0.1', () => {
  const args = ['node', 'run', '--host', '127.0.0.1', '--port', String(server.address().port), '--no-tls'];
  const env = { ...process.env, OPENCLAW_STATE_DIR: '/home/claw/bare-state', OPENCLAW_GATEWAY_TOKEN: 'none' };
  spawn('/opt/bare-openclaw/bin/openclaw', args, { env, stdio: 'ignore' }).on('exit', () => process.exit(1));
});
setTimeout(() => process.exit(1), 120_000);
`;

const START_RELEASE = `
mkdir -p /opt/bare/tailscale /opt/bare/release
curl -fsS "$1" | tar -xz -C /opt/bare/tailscale --strip-components=1
socket=/run/bare-tailscaled.sock
systemd-run --quiet --unit=bare-tailscaled --property=Type=notify \\
  /opt/bare/tailscale/tailscaled --statedir=/opt/bare/state --socket=$socket --port=41641
/opt/bare/tailscale/tailscale --socket=$socket up --login-server="$2" --auth-key=file:/root/key --hostname=bare --timeout=60s
tar -xf /root/release.tar -C /opt/bare/release
systemd-run --quiet --wait --unit=bare-worker --property=Type=exec /opt/bare/release/bin/federation-worker --version
`;
const END_RELEASE = `
systemctl stop bare-tailscaled 2>/dev/null || true
rm -rf /opt/bare
`;

/** Puts nothing but a Node on the machine, and beside it the package that is unpacked. */
export async function bareMachine(lab: Lab, machine: Machine): Promise<BareMachine> {
  const sh = (script: string, ...words: readonly string[]) => machine.succeed(['sh', '-euc', script, 'sh', ...words]);
  await lab.installPackage(machine);
  await sh(GIVE_NODE, PACKAGE);

  async function forgetRelease(): Promise<void> {
    await sh(END_RELEASE);
    for (const node of await lab.tailnet.nodes()) if (node.name === 'bare') await lab.tailnet.deleteNode(node.id);
  }

  return {
    async installOpenClaw() {
      await sh(INSTALL_OPENCLAW);
      return seconds(() => machine.succeed(NPM_INSTALL));
    },
    startNodeHost: () => seconds(() => machine.succeed(['node', '-e', KNOCK], CLAW)),
    async startRelease() {
      await forgetRelease();
      await machine.write('/root/key', await lab.tailnet.authKey({ tags: ['tag:worker'] }), { mode: '600' });
      return seconds(() => sh(START_RELEASE, lab.tailscaleTarball, lab.tailnet.loginServer));
    },
    reboot: () => seconds(() => machine.reboot()),
    startCommand: () => seconds(() => machine.succeed(['sudo', 'deploy-federation', '--version'], CLAW)),
    async lose(lost) {
      const master = lab.machine('m1');
      const ping = async () => (await master.run(['ping', '-n', '-c', '1', '-W', '1', lost.address])).code === 0;
      await lost.cut();
      try {
        return await seconds(() => eventually('a ping is lost', async () => !(await ping())));
      } finally {
        await lost.restore();
      }
    },
  };
}
