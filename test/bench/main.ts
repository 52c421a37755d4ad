import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { runCommandLine } from '#src/adapters/command-line.ts';
import { reportError } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import { createBench } from './bench.ts';
import type { Figure } from './figure.ts';
import { command } from './figures/command.ts';
import { exec } from './figures/exec.ts';
import { hubMemory } from './figures/hub-memory.ts';
import { request } from './figures/request.ts';
import { path, stream } from './figures/stream.ts';
import { workerAlone, workerMemory } from './figures/worker-memory.ts';
import { installPackage } from './installed.ts';
import type { Reading } from './measure.ts';
import { measure } from './measure.ts';
import { printReadings, printReadingsAsJson } from './report.ts';

const FIGURES: readonly Figure[] = [exec, request, stream, path, workerMemory, workerAlone, hubMemory, command];
/** From then on nothing waits for a calm machine, and nothing is tried again. */
const PATIENT_MS = 120_000;
const LONGEST_MS = 235_000;

interface Flags {
  readonly only: readonly string[];
  readonly json?: true;
}

const program = new Command('bench')
  .description('Measures the figures that are promised, each against its floor on this machine, now.')
  .option('--only <name>', `measure this alone; may be repeated (${names()})`, collect, [])
  .option('--json', 'print the readings as JSON')
  .action(run);

try {
  await runCommandLine(program, process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error);
}

async function run({ only, json }: Flags): Promise<void> {
  const unknown = only.find((name) => !FIGURES.some((figure) => figure.name === name));
  if (unknown !== undefined) {
    throw new FederationError('USAGE', `no figure ${JSON.stringify(unknown)}`, { hint: `--only ${names()}` });
  }
  const readings = await measureAll(FIGURES.filter(({ name }) => only.length === 0 || only.includes(name)));
  if (json === true) printReadingsAsJson(readings);
  else printReadings(readings);
  const disturbed = readings.filter(({ verdict }) => verdict === 'missed, not calm');
  if (disturbed.length > 0)
    say(`NOT CALM: ${nameAll(disturbed)} missed while others used the machine; it proves nothing`);
  const missed = readings.filter(({ verdict }) => verdict === 'missed');
  if (missed.length > 0) say(`MISSED: ${nameAll(missed)}`);
  process.exitCode = missed.length > 0 ? 1 : 0;
}

async function measureAll(figures: readonly Figure[]): Promise<Reading[]> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt);
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(LONGEST_MS)]);
  const folder = await mkdtemp(join(tmpdir(), 'ocf-bench-'));
  try {
    say('building the package');
    const installed = await installPackage(folder, signal);
    const bench = createBench({ installed, folder, patientUntil: performance.now() + PATIENT_MS, say, signal });
    const readings: Reading[] = [];
    for (const figure of figures) {
      say(`${figure.name}: ${figure.what}`);
      readings.push(...(await measure(figure, bench)));
    }
    return readings;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function names(): string {
  return FIGURES.map(({ name }) => name).join(', ');
}

function nameAll(readings: readonly Reading[]): string {
  return readings.map(({ figure, line }) => `${figure.name} ${line.name}`).join(', ');
}

function say(words: string): void {
  process.stderr.write(`${words}\n`);
}
