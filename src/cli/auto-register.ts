import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { createLog } from '#src/adapters/log.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { harmless, reportError, say } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import type { Judged, JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { brokenRules } from '#src/cli/auto-register/judge.ts';
import { judgeOnce } from '#src/cli/auto-register/once.ts';
import type { Arrival, Unfinished } from '#src/cli/auto-register/report.ts';
import {
  decisionText,
  logReport,
  policyText,
  terminalReport,
  unfinishedText,
  usableText,
} from '#src/cli/auto-register/report.ts';
import { watchRequests } from '#src/cli/auto-register/watch.ts';
import { fitHelp } from '#src/cli/deploy/help-text.ts';
import { refuseEmpty } from '#src/cli/empty-argument.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ExplanationView } from '#src/protocol/hub-api/judgement.ts';

interface Flags {
  readonly watch?: true;
  readonly once?: true;
  readonly explain?: string;
  readonly dryRun?: true;
  readonly approveEverything?: true;
  readonly json?: true;
  readonly home?: string;
}

/** `auto-register`: asks the hub to judge what waits by its rules, and looks whether it becomes usable. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let code = 0;
  const command = fitHelp(new Command('auto-register'))
    .description('Lets nodes in by the rules in approval-policy.yaml of the hub’s home, as the operator on the master.')
    .option('--watch', 'judge whoever waits and whoever comes, and say when they are usable, until it is told to stop')
    .option(
      '--once',
      'judge whoever waits now, and look for half a minute whether they become usable; ends with 1 where one does not, 2 where the rules can’t be used',
    )
    .option('--explain <request>', 'which rule would decide on a request, by name, id or fingerprint, and why')
    .option('--dry-run', 'only say what the rules would do')
    .option('--approve-everything', 'take rules for good that approve everybody')
    .option('--json', 'answer as JSON; of --watch, log lines on a terminal too')
    .option('--home <folder>', 'home of the master (default: ~/.openclaw-federation)')
    .version(VERSION)
    .addHelpText('after', EXAMPLES)
    .hook('preAction', (_, own) => refuseEmpty(own, false))
    .action(async (flags: Flags) => {
      code = await run(flags);
    });
  // The reader of a pipe has gone, and nobody is left to tell anything.
  process.stdout.on('error', () => process.exit(1));
  try {
    await runCommandLine(command, argv);
    return code;
  } catch (error) {
    return reportError(error, { json: argv.includes('--json') });
  }
}

const EXAMPLES = `
Examples:
  auto-register --explain home-server
  auto-register --once --dry-run
  auto-register --watch
`;

async function run(flags: Flags): Promise<number> {
  const modes = [flags.watch, flags.once, flags.explain].filter((mode) => mode !== undefined);
  if (modes.length !== 1) {
    throw new FederationError('USAGE', 'name one of --watch, --once and --explain REQUEST', {
      hint: 'auto-register --help',
    });
  }
  if (flags.once === true) return judgeAll(flags);
  if (flags.explain === undefined) await watch(flags);
  else await explain(flags.explain, flags);
  return 0;
}

async function explain(word: string, flags: Flags): Promise<void> {
  const path = `/pairing-requests/${encodeURIComponent(word)}/explanation`;
  const query = `approveEverything=${flags.approveEverything === true}`;
  const explanation = await (await hubOf(flags)).ask<ExplanationView>('GET', `${path}?${query}`);
  if (flags.json === true) printJson(explanation);
  else for (const line of explanation.lines) process.stdout.write(`${harmless(line)}\n`);
}

interface Outcome extends Judged {
  /** Null where it was not let in. */
  usable: boolean | null;
  unfinished: Unfinished | null;
}

/**
 * Returns 1 where something that was let in is not usable, or rules from before judged instead of a file that can’t be
 * used; throws where one could not be judged, or no rule can be used.
 */
async function judgeAll(flags: Flags): Promise<number> {
  const all: Outcome[] = [];
  const print = (line: string): void => {
    if (flags.json !== true) process.stdout.write(`${harmless(line)}\n`);
  };
  const ended = ({ fingerprint }: Arrival, usable: boolean, unfinished: Unfinished | null): void => {
    const own = all.filter((one) => one.fingerprint === fingerprint && one.done === 'approved');
    for (const one of own) Object.assign(one, { usable, unfinished });
  };
  const [hub, options] = [await hubOf(flags), optionsIn(flags)];
  const broken = await brokenRules(hub, options);
  if (broken !== null) say(policyText(broken));
  await judgeOnce({
    hub,
    options,
    report: {
      decided(judged) {
        all.push({ ...judged, usable: null, unfinished: null });
        print(decisionText(judged));
      },
      usable(node, ms) {
        ended(node, true, null);
        print(usableText(node, ms));
      },
      unfinished(node, why) {
        ended(node, false, why);
        print(unfinishedText(node, why));
      },
    },
  });
  if (flags.json === true) printJson(all);
  return broken !== null || all.some(({ usable }) => usable === false) ? 1 : 0;
}

async function watch(flags: Flags): Promise<void> {
  const signal = stopSignal();
  const isTerminal = process.stderr.isTTY && flags.json !== true;
  const report = isTerminal ? terminalReport() : logReport(createLog({ level: 'info', module: 'auto-register' }));
  await watchRequests({ connect: () => hubOf(flags), options: optionsIn(flags), report, signal });
}

function optionsIn({ dryRun, approveEverything }: Flags): JudgeOptions {
  return { dryRun: dryRun === true, approveEverything: approveEverything === true };
}
