import { Command, InvalidArgumentError, Option } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import { canAsk } from '#src/cli/confirm.ts';
import type { DemoFlags } from '#src/cli/deploy/demo.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import {
  commandList,
  EXEC_MODES,
  openclawVersion,
  portNumber,
  telegramIds,
  userName,
  webAddress,
} from '#src/cli/deploy/flag-values.ts';
import { fitHelp, helpText } from '#src/cli/deploy/help-text.ts';
import type { LocalFlags } from '#src/cli/deploy/local.ts';
import type { MachineDoctorFlags } from '#src/cli/deploy/doctor.ts';
import type { RotateKeyFlags } from '#src/cli/deploy/rotate-key.ts';
import type { UninstallFlags } from '#src/cli/deploy/uninstall.ts';
import { refuseEmpty } from '#src/cli/empty-argument.ts';
import { FederationError } from '#src/core/errors.ts';
import { checkNodeName } from '#src/core/node.ts';
import type { Role } from '#src/core/node.ts';

type ToolsOf = () => Promise<DeployTools>;

/** Each command loads its own modules, so that none waits for what only another one needs. */
const realTools: ToolsOf = async () => (await import('#src/cli/deploy/machine-tools.ts')).machineTools;

/** `deploy-federation`: puts machines into a federation. Returns the exit code. */
export async function main(argv: readonly string[], toolsOf: ToolsOf = realTools): Promise<number> {
  let exitCode = 0;
  const ends = (work: Promise<number>): Promise<void> => work.then((code) => void (exitCode = code));
  try {
    await runCommandLine(commands(ends, toolsOf), argv);
    return exitCode;
  } catch (error) {
    return reportError(error, { json: argv.includes('--json') });
  }
}

function commands(ends: (work: Promise<number>) => Promise<void>, toolsOf: ToolsOf): Command {
  const program = fitHelp(new Command('deploy-federation'))
    .description('Put machines into a federation. Without a command, on a terminal: asks what to do.')
    .version(VERSION)
    .addHelpText('after', helpText(EXAMPLES))
    .hook('preAction', (_, command) => refuseEmpty(command, false))
    .action(async () => ends(unaided(toolsOf)));
  const role = (name: Role, usage: string, description: string, examples: string) => {
    const command = program.command(usage).description(description).addHelpText('after', helpText(examples));
    addMachineOptions(addDeployOptions(command, name));
    return command;
  };
  const deploys = async (name: Role, word: string | undefined, flags: DeployFlags): Promise<void> =>
    ends((await import('#src/cli/deploy/deployment.ts')).deploy(name, word, flags, await toolsOf()));
  role('master', 'master', 'make this machine the master: gateway, hub and a node of its own', MASTER_EXAMPLES).action(
    (flags: DeployFlags) => deploys('master', undefined, flags),
  );
  role('worker', 'worker [master]', 'make this machine a worker of MASTER', WORKER_EXAMPLES).action(
    (word: string | undefined, flags: DeployFlags) => deploys('worker', word, flags),
  );
  role(
    'hybrid',
    'hybrid [master]',
    'as worker, beside an OpenClaw of its own that stays as it is',
    HYBRID_EXAMPLES,
  ).action((word: string | undefined, flags: DeployFlags) => deploys('hybrid', word, flags));
  addMachineOptions(
    program
      .command('doctor')
      .description('what is wrong with this machine, why it matters and what mends it')
      .option('--fix', 'mend what can be mended without losing data or widening access')
      .addHelpText('after', helpText(DOCTOR_EXAMPLES)),
  )
    .option('--json', 'answer as JSON on standard output')
    .action(async (flags: MachineDoctorFlags) =>
      ends((await import('#src/cli/deploy/doctor.ts')).machineDoctor(flags, await toolsOf())),
    );
  addMachineOptions(
    program
      .command('uninstall')
      .description('take back what was deployed here: it is as it was before')
      .option('--keep-data', 'leave the homes of hub and worker: keys, members, jobs')
      .option('--yes', 'do not ask')
      .addHelpText('after', helpText(UNINSTALL_EXAMPLES)),
  ).action(async (flags: UninstallFlags) =>
    ends((await import('#src/cli/deploy/uninstall.ts')).uninstall(flags, await toolsOf())),
  );
  program
    .command('rotate-key')
    .description('give the worker of this machine a new key; it stays the node that it is')
    .option('--ssh <user@host>', 'on that machine instead of this one')
    .option('--home <folder>', 'home of the worker daemon (default: that of the deployment)')
    .option('--run-as <user>', 'whose worker it is (default: who asks, or whom root deployed it for)', userName)
    .option('--yes', 'end what runs there')
    .option('--json', 'answer as JSON on standard output')
    .addHelpText('after', helpText(ROTATE_KEY_EXAMPLES))
    .action(async (flags: RotateKeyFlags) =>
      ends((await import('#src/cli/deploy/rotate-key.ts')).rotateKey(flags, await toolsOf())),
    );
  program
    .command('local')
    .description('run a whole federation on this machine: gateway, hub and workers')
    .option('--dir <folder>', 'where it lives (default: ~/.openclaw-federation-local)')
    .option('--workers <n>', 'how many workers: w1, w2 …', countOfWorkers, 3)
    .option('--openclaw <program>', 'the openclaw program (default: the one beside this package, or on PATH)')
    .option('--no-openclaw', 'without OpenClaw: hub and light workers only')
    .option('--detach', 'leave it running in the background')
    .option('--stop', 'stop the one that runs there')
    .option('--status', 'say whether one runs there')
    .option('--json', 'answer as JSON on standard output')
    .addHelpText('after', helpText(LOCAL_EXAMPLES))
    .action(async (flags: LocalFlags) => ends((await import('#src/cli/deploy/local.ts')).local(given(flags))));
  program
    .command('demo')
    .description('a federation on this machine and a tour of it')
    .option('--dir <folder>', 'where it lives (default: ~/.openclaw-federation-demo)')
    .option('--openclaw <program>', 'the openclaw program (default: the one beside this package, or on PATH)')
    .option('--no-openclaw', 'without OpenClaw')
    .option('--once', 'end after the tour')
    .addHelpText('after', helpText(DEMO_EXAMPLES))
    .action(async (flags: DemoFlags) => ends((await import('#src/cli/deploy/demo.ts')).demo(given(flags))));
  return program;
}

async function unaided(toolsOf: ToolsOf): Promise<number> {
  if (canAsk()) return (await import('#src/cli/deploy/wizard.ts')).wizard(await toolsOf());
  throw new FederationError('USAGE', 'no command given', { hint: 'deploy-federation --help' });
}

/** Which machine, and how much of it. */
function addMachineOptions(command: Command): Command {
  return command
    .option('--ssh <user@host>', 'on that machine instead of this one')
    .option('--system', 'units of the whole machine (default as root, and where ssh meets a sudo without password)')
    .option('--user', 'units of the person alone, without root')
    .option('--run-as <user>', 'whom the worker runs commands as (default: who deploys)', userName);
}

function addDeployOptions(command: Command, role: Role): Command {
  command.option('--name <name>', 'name of this node (default: the host name)', checkNodeName);
  if (role === 'master') {
    command.option('--port <n>', 'port of the hub (default: 19000)', portNumber);
    command.option(
      '--telegram-token-file <file>',
      'token of the Telegram bot that the agent answers by; - is standard input',
    );
    command.option(
      '--telegram-allow <id,id>',
      'who may write to it, as the owner: numbers of people at Telegram',
      telegramIds,
    );
    command.option('--light', 'without OpenClaw’s gateway');
    command.option('--no-light', 'with it, where an earlier run left it out');
  } else {
    command
      .option('--token-file <file>', 'join token that lets this node in without waiting; - is standard input')
      .option('--token <token>', 'the same, in sight of other users and of the shell’s history')
      .option('--light', 'commands only, no OpenClaw on it')
      .option('--no-light', 'with OpenClaw, where an earlier run left it out')
      .addOption(new Option('--exec <mode>', 'what may run here (default: full)').choices(EXEC_MODES))
      .option('--commands <a,b>', 'what OpenClaw’s node host offers at most', commandList)
      .option('--use-models', 'lead the OpenClaw that is here already to the models of the federation')
      .option('--no-use-models', 'leave its settings alone, where an earlier run was asked to lead it')
      .addOption(keepGateway(role))
      .addOption(new Option('--no-keep-gateway', 'stop it, where an earlier run left it').hideHelp(role === 'hybrid'));
  }
  return command
    .option('--openclaw-version <version>', 'OpenClaw to install where there is none', openclawVersion)
    .option('--auth-key-file <file>', 'key that brings the machine into the tailnet')
    .option('--login-server <url>', 'control server of the tailnet (default: Tailscale’s)', webAddress)
    .option('--tailscale-base-url <url>', 'where Tailscale’s static builds are', webAddress)
    .option('--no-tailscale', 'without a tailnet: over loopback or another encrypted tunnel')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--json', 'answer as JSON on standard output')
    .option('--yes', 'do not ask')
    .option('--resume', 'go on where a deployment stopped')
    .option('--foreground', 'run the daemons as children of this command: for containers, without systemd')
    .option('--home <folder>', 'with --foreground: where all of it is kept');
}

/** A hybrid always keeps its gateway; that it is known there makes the error a better one. */
function keepGateway(role: Role): Option {
  const option = new Option('--keep-gateway', 'leave a gateway of this machine running');
  return role === 'hybrid' ? option.hideHelp() : option;
}

/** Commander says `true` where neither --openclaw nor --no-openclaw was given. */
function given<T extends { readonly openclaw?: string | boolean }>(flags: T): T {
  const { openclaw, ...rest } = flags;
  return (openclaw === true ? rest : flags) as T;
}

/** A machine runs out of memory long before: a worker daemon takes about 80 MB. */
const MAX_WORKERS = 50;

function countOfWorkers(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS) return count;
  throw new InvalidArgumentError(`not a number from 1 to ${MAX_WORKERS}`);
}

const EXAMPLES = `
Examples:
  deploy-federation master
  deploy-federation worker vps
  deploy-federation demo
`;

const MASTER_EXAMPLES = `
Examples:
  deploy-federation master --dry-run
  sudo deploy-federation master --yes
  deploy-federation master --telegram-token-file bot-token --telegram-allow 123456789
  deploy-federation master --foreground --home /data
`;

const CONSENT = 'Deploying is the consent that the master may run any command here; --exec narrows it.';

const WORKER_EXAMPLES = `
MASTER is a name in the tailnet or an address, with :PORT where it is not 19000; IPv6 in brackets. With --ssh, on a
master, it is this machine, and the join token is made here.

A token is made on the master: manage-federation token create. Without one the node waits until it is approved there:
manage-federation approve NAME.
${CONSENT}

Examples:
  deploy-federation worker vps
  deploy-federation worker vps --token-file token --light
  deploy-federation worker --ssh pi@10.0.0.5
  deploy-federation worker vps --foreground --home /data
`;

const HYBRID_EXAMPLES = `
MASTER is a name in the tailnet or an address, with :PORT where it is not 19000; IPv6 in brackets.

A token is made on the master: manage-federation token create --role hybrid. Without one the node waits until it is
approved there: manage-federation approve NAME.
${CONSENT}

Examples:
  deploy-federation hybrid vps
  deploy-federation hybrid vps --exec allowlist
`;

const DOCTOR_EXAMPLES = `
Examples:
  deploy-federation doctor
  deploy-federation doctor --fix
  deploy-federation doctor --ssh pi@10.0.0.5 --json

Exit code 1 where something is broken.
`;

const UNINSTALL_EXAMPLES = `
Examples:
  deploy-federation uninstall
  deploy-federation uninstall --ssh pi@10.0.0.5 --yes
`;

const ROTATE_KEY_EXAMPLES = `
Examples:
  deploy-federation rotate-key
  deploy-federation rotate-key --ssh pi@10.0.0.5
  deploy-federation rotate-key --home ~/fed/w1

The hub learns the new key by the word of the old one, so nothing has to be approved.
`;

const LOCAL_EXAMPLES = `
Examples:
  deploy-federation local --dir ~/fed --workers 2
  manage-federation --home ~/fed/master list
  deploy-federation local --dir ~/fed --status
  deploy-federation local --dir ~/fed --stop
`;

const DEMO_EXAMPLES = `
Examples:
  deploy-federation demo
  deploy-federation demo --once --no-openclaw
`;
