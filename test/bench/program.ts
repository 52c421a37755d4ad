import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Bench } from './bench.ts';
import { createBench } from './bench.ts';
import type { Figure } from './figure.ts';
import type { Reading } from './measure.ts';
import { measure } from './measure.ts';
import { printReadings, printReadingsAsJson } from './report.ts';

/** A program that measures figures and judges them. */
export interface BenchProgram {
  readonly name: string;
  readonly description: string;
  readonly figures: readonly Figure[];
  /** From then on nothing waits for a calm machine, and nothing is tried again. */
  readonly patientMs: number;
  readonly longestMs: number;
  /** Puts the package under test into `folder`, or finds it elsewhere; resolves with where it is. */
  install(folder: string, signal: AbortSignal): Promise<string>;
  /** Starts what all figures use; it ends behind the last of them. */
  open?(bench: Bench): Promise<void>;
}

interface Flags {
  readonly only: readonly string[];
  readonly json?: true;
}

/** Does what the command line of this process asks for. The exit code is 1 where a bar was missed on a calm machine. */
export async function runBench(program: BenchProgram): Promise<void> {
  const names = program.figures.map(({ name }) => name).join(', ');
  const commandLine = new Command(program.name)
    .description(program.description)
    .option('--only <name>', `measure this alone, or all that begin with it; may be repeated (${names})`, collect, [])
    .option('--json', 'print the readings as JSON')
    .action(({ only, json }: Flags) => run(program, chosen(program.figures, only, names), json === true));
  try {
    await runCommandLine(commandLine, process.argv.slice(2));
  } catch (error) {
    process.exitCode = reportError(error);
  }
}

function chosen(figures: readonly Figure[], only: readonly string[], names: string): readonly Figure[] {
  const isMeant = (figure: Figure, word: string): boolean => figure.name === word || figure.name.startsWith(`${word}-`);
  const unknown = only.find((word) => !figures.some((figure) => isMeant(figure, word)));
  if (unknown !== undefined) {
    throw new FederationError('USAGE', `no figure ${JSON.stringify(unknown)}`, { hint: `--only ${names}` });
  }
  return figures.filter((figure) => only.length === 0 || only.some((word) => isMeant(figure, word)));
}

async function run(program: BenchProgram, figures: readonly Figure[], asJson: boolean): Promise<void> {
  const readings = await measureAll(program, figures);
  if (asJson) printReadingsAsJson(readings);
  else printReadings(readings);
  const disturbed = readings.filter(({ verdict }) => verdict === 'missed, not calm');
  if (disturbed.length > 0)
    say(`NOT CALM: ${nameAll(disturbed)} missed while others used the machine; it proves nothing`);
  const missed = readings.filter(({ verdict }) => verdict === 'missed');
  if (missed.length > 0) say(`MISSED: ${nameAll(missed)}`);
  process.exitCode = missed.length > 0 ? 1 : 0;
}

async function measureAll(program: BenchProgram, figures: readonly Figure[]): Promise<Reading[]> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt);
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(program.longestMs)]);
  const folder = await mkdtemp(join(tmpdir(), 'ocf-bench-'));
  try {
    say('building the package');
    const installed = await program.install(folder, signal);
    const patientUntil = performance.now() + program.patientMs;
    return await createBench({ installed, folder, patientUntil, say, signal }).scope(async (bench) => {
      await program.open?.(bench);
      const readings: Reading[] = [];
      for (const figure of figures) {
        const obstacle = figure.obstacle?.() ?? null;
        say(`${figure.name}: ${obstacle === null ? figure.what : `not measured, ${obstacle}`}`);
        if (obstacle === null) readings.push(...(await measure(figure, bench)));
      }
      return readings;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function nameAll(readings: readonly Reading[]): string {
  return readings.map(({ figure, line }) => `${figure.name} ${line.name}`).join(', ');
}

function say(words: string): void {
  process.stderr.write(`${words}\n`);
}
