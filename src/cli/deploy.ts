import { Command, InvalidArgumentError } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import type { DemoFlags } from '#src/cli/demo.ts';
import type { LocalFlags } from '#src/cli/local.ts';

/** `deploy-federation`: puts machines into a federation. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const ends = (work: Promise<number>): Promise<void> => work.then((code) => void (exitCode = code));
  try {
    await runCommandLine(commands(ends), argv);
    return exitCode;
  } catch (error) {
    return reportError(error, { json: argv.includes('--json') });
  }
}

function commands(ends: (work: Promise<number>) => Promise<void>): Command {
  const program = new Command('deploy-federation')
    .description('Put machines into a federation.')
    .version(VERSION)
    .addHelpText('after', EXAMPLES);
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
    .addHelpText('after', LOCAL_EXAMPLES)
    .action(async (flags: LocalFlags) => ends((await import('#src/cli/local.ts')).local(given(flags))));
  program
    .command('demo')
    .description('a federation on this machine and a tour of it')
    .option('--dir <folder>', 'where it lives (default: ~/.openclaw-federation-demo)')
    .option('--openclaw <program>', 'the openclaw program (default: the one beside this package, or on PATH)')
    .option('--no-openclaw', 'without OpenClaw')
    .option('--once', 'end after the tour')
    .addHelpText('after', DEMO_EXAMPLES)
    .action(async (flags: DemoFlags) => ends((await import('#src/cli/demo.ts')).demo(given(flags))));
  return program;
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
  deploy-federation demo
  deploy-federation local --workers 2 --no-openclaw
  deploy-federation local --detach
  deploy-federation local --stop
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
