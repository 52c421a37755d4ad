import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { createLog } from '#src/adapters/log.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { harmless, reportError } from '#src/adapters/terminal.ts';
import { VERSION } from '#src/adapters/version.ts';
import { judgeOne, waitingRequests } from '#src/cli/auto-register/judge.ts';
import type { Judged, JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { decisionText, logReport, terminalReport } from '#src/cli/auto-register/report.ts';
import { watchRequests } from '#src/cli/auto-register/watch.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';

interface Flags {
  readonly watch?: true;
  readonly once?: true;
  readonly explain?: string;
  readonly dryRun?: true;
  readonly approveEverything?: true;
  readonly json?: true;
  readonly home?: string;
}

/** `auto-register`: asks the hub to judge the nodes that wait by its rules. Returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const command = new Command('auto-register')
    .description('Lets nodes in by the rules in approval-policy.yaml of the hub’s home, as the operator on the master.')
    .option('--watch', 'judge whoever waits and whoever comes, until it is told to stop')
    .option('--once', 'judge whoever waits now')
    .option('--explain <request>', 'which rule would decide on a node, by name, id or fingerprint, and why')
    .option('--dry-run', 'only say what the rules would do')
    .option('--approve-everything', 'take rules for good that approve everybody')
    .option('--json', 'answer as JSON; of --watch, log lines on a terminal too')
    .option('--home <folder>', 'home of the master (default: ~/.openclaw-federation)')
    .version(VERSION)
    .addHelpText('after', EXAMPLES)
    .action(run);
  // The reader of a pipe has gone, and nobody is left to tell anything.
  process.stdout.on('error', () => process.exit(1));
  try {
    await runCommandLine(command, argv);
    return 0;
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

async function run(flags: Flags): Promise<void> {
  const modes = [flags.watch, flags.once, flags.explain].filter((mode) => mode !== undefined);
  if (modes.length !== 1) {
    throw new FederationError('USAGE', 'name one of --watch, --once and --explain REQUEST', {
      hint: 'auto-register --help',
    });
  }
  if (flags.explain !== undefined) await explain(flags.explain, flags);
  else if (flags.once === true) await judgeAll(flags);
  else await watch(flags);
}

async function explain(word: string, flags: Flags): Promise<void> {
  const path = `/pairing-requests/${encodeURIComponent(word)}/explanation`;
  const query = `approveEverything=${flags.approveEverything === true}`;
  const explanation = await (await hubOf(flags)).ask<{ lines: string[] }>('GET', `${path}?${query}`);
  if (flags.json === true) printJson(explanation);
  else for (const line of explanation.lines) process.stdout.write(`${harmless(line)}\n`);
}

/** Each that waits is judged, whatever becomes of the others; the first error is thrown at the end. */
async function judgeAll(flags: Flags): Promise<void> {
  const hub = await hubOf(flags);
  const all: Judged[] = [];
  const errors: unknown[] = [];
  for (const request of await waitingRequests(hub)) {
    try {
      const judged = await judgeOne(hub, request, optionsIn(flags));
      if (judged === null) continue;
      all.push(judged);
      if (flags.json !== true) process.stdout.write(`${harmless(decisionText(judged))}\n`);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  if (flags.json === true) printJson(all);
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
