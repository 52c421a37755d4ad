import { eventually } from '../support/eventually.ts';
import { succeed } from './command.ts';
import type { Machine } from './machine.ts';
import { propertiesIn } from './unit-state.ts';

/** A gateway that `claw` has set up before anything of ours came, as OpenClaw's own documents say. */
export const OWN_PORT = 18789;

/** What a gateway may write at any time after its start: a copy of settings with which it ran. */
export const OWN_LATER = '/home/claw/.openclaw/openclaw.json.last-good';

/** npm's own scripts are all that makes OpenClaw usable for others than root. */
const INSTALL = `
modules=/usr/lib/node_modules/openclaw-federation/node_modules
cp "$modules"/node-linux-*/bin/node /usr/local/bin/node
cp -r "$modules"/npm /usr/local/lib/npm
ln -s ../lib/npm/bin/npm-cli.js /usr/local/bin/npm
chmod 755 /usr/local/lib/npm/bin/npm-cli.js
npm install --global --prefix /usr/local --ignore-scripts=false --allow-scripts="$1" --no-audit --no-fund "$2"
rm -rf /root/.npm
`;
const SCRIPTS = '@google/genai,koffi,protobufjs,openclaw';

/**
 * Without its automations: the first of them, a heartbeat at a time of each half hour that its device decides, makes a
 * store for its agent, which would look like a trace of ours.
 */
const SET_UP = `
openclaw config set gateway.mode local
openclaw config set cron.enabled false
openclaw gateway install --port "$1"
`;

/** Node, npm and OpenClaw as a person of each machine has them, and a gateway as their service. */
export async function giveOwnGateways(machines: readonly [Machine, ...Machine[]]): Promise<void> {
  const [first, ...others] = machines;
  await first.succeed(['sh', '-euc', INSTALL, 'sh', SCRIPTS, 'openclaw@2026.9.6']);
  for (const { root } of others) await succeed(['cp', '-a', `${first.root}/usr/local/.`, `${root}/usr/local`]);
  await Promise.all(machines.map(setUp));
}

async function setUp(machine: Machine): Promise<void> {
  await machine.succeed(['loginctl', 'enable-linger', 'claw']);
  await machine.succeed(['sh', '-euc', SET_UP, 'sh', String(OWN_PORT)], { user: 'claw' });
  await untilOwnGatewayAnswers(machine);
}

/** It takes ten seconds, alone. */
const ANSWERS_MS = 180_000;

export async function untilOwnGatewayAnswers(machine: Machine): Promise<void> {
  await eventually(`the own gateway of ${machine.name} answers`, () => ownGatewayAnswers(machine), ANSWERS_MS);
}

export async function ownGatewayAnswers(machine: Machine): Promise<boolean> {
  const url = `http://127.0.0.1:${OWN_PORT}/healthz`;
  return (await machine.run(['curl', '--silent', '--fail', '--max-time', '2', url])).code === 0;
}

/** Properties of its unit, as the person's own systemd tells them. */
export async function ownGatewayUnit(machine: Machine): Promise<Readonly<Record<string, string>>> {
  const properties = ['ActiveState', 'UnitFileState', 'MainPID', 'FragmentPath', 'ExecMainStartTimestampMonotonic'];
  const show = ['systemctl', '--user', 'show', 'openclaw-gateway.service', `--property=${properties.join(',')}`];
  return propertiesIn(await machine.succeed(show, { user: 'claw' }));
}
