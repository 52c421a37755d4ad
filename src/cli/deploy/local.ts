import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openHome } from '#src/adapters/home.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { findHub } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import { showWaiting } from '#src/cli/deploy/waiting.ts';
import { launcher } from '#src/cli/launcher.ts';
import { shellWord } from '#src/core/shell-word.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { until } from '#src/deploy/condition.ts';
import { detachedNews, startDetached } from '#src/deploy/children/detached.ts';
import type { LocalFederation } from '#src/deploy/children/local/federation.ts';
import { startLocal } from '#src/deploy/children/local/federation.ts';
import type { LocalRecord } from '#src/deploy/children/local/record.ts';
import { isAlive, readLocalRecord } from '#src/deploy/children/local/record.ts';
import { findOpenClaw } from '#src/deploy/children/openclaw-program.ts';

export interface LocalFlags {
  readonly dir?: string;
  readonly workers: number;
  /** False for --no-openclaw; a name or path for --openclaw. */
  readonly openclaw?: string | false;
  readonly detach?: boolean;
  readonly stop?: boolean;
  readonly status?: boolean;
  readonly json?: boolean;
}

/** `deploy-federation local` */
export async function local(flags: LocalFlags): Promise<number> {
  const directory = localDirectory(flags.dir);
  if (flags.stop === true) return stopLocal(directory);
  if (flags.status === true) return showLocal(directory, flags.json === true);
  if (flags.detach === true) return detach(directory, flags);
  return runLocal(directory, flags);
}

export function localDirectory(dir: string | undefined): string {
  return resolve(dir ?? join(homedir(), '.openclaw-federation-local'));
}

async function runLocal(directory: string, flags: LocalFlags): Promise<number> {
  const news = detachedNews();
  const progress = (line: string): void => {
    say(line);
    news?.progress(line);
  };
  const signal = announcedStop();
  try {
    const federation = await startFederation(directory, flags, progress, signal);
    news?.ready();
    await stay(federation, signal);
    return 0;
  } catch (error) {
    if (signal.aborted) return interrupted();
    news?.failed(error);
    throw error;
  }
}

/** Aborts at Ctrl-C, and says so at once: ending everything takes a while. */
export function announcedStop(): AbortSignal {
  const signal = stopSignal();
  signal.addEventListener('abort', () => say('stopping'), { once: true });
  return signal;
}

/** What was started is ended by then. Returns the exit code. */
export function interrupted(): number {
  say('stopped');
  return 130;
}

export async function startFederation(
  directory: string,
  { workers, openclaw }: Pick<LocalFlags, 'workers' | 'openclaw'>,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<LocalFederation> {
  const program = openclaw === false ? null : await findOpenClaw(openclaw);
  const waiting = showWaiting(progress);
  try {
    waiting.line(`starting a federation of ${workersText(workers)} in ${directory}`);
    let isStarted = false;
    // It goes on telling what becomes of its parts, and nothing is waited for by then.
    const tell = (line: string): void => (isStarted ? progress(line) : waiting.line(line));
    const federation = await startLocal({ directory, workers, openclaw: program, progress: tell, signal });
    isStarted = true;
    return federation;
  } finally {
    waiting.end();
  }
}

/** Says what can be done with it, stays until the signal or a part's failure, then stops everything. */
export async function stay(federation: LocalFederation, signal: AbortSignal): Promise<void> {
  for (const line of readyLines(federation.home)) say(line);
  try {
    if (!signal.aborted) await Promise.race([federation.failed, once(signal, 'abort')]);
  } finally {
    if (!signal.aborted) say('stopping');
    await federation.stop();
  }
  say('stopped');
}

function readyLines(home: string): string[] {
  const manage = manageText(home);
  return [
    'ready; in another terminal:',
    `  ${manage} list`,
    `  ${manage} exec w1 -- uname -a`,
    `  ${manage} broadcast "uptime"`,
    'Ctrl-C here stops it all',
  ];
}

/** How to call manage-federation for this home, from here. */
export function manageText(home: string): string {
  return `${launcher('manage-federation')} --home ${shellWord(home)}`;
}

function workersText(workers: number): string {
  return workers === 1 ? '1 worker' : `${workers} workers`;
}

async function detach(directory: string, flags: LocalFlags): Promise<number> {
  const home = await openHome(directory);
  const openclaw = flags.openclaw === false ? ['--no-openclaw'] : ['--openclaw', await findOpenClaw(flags.openclaw)];
  const args = ['local', '--dir', directory, '--workers', String(flags.workers), ...openclaw];
  const signal = stopSignal();
  try {
    await startDetached(args, home.file('local.log'), say, signal);
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  }
  const stop = `${launcher('deploy-federation')} local --dir ${shellWord(directory)} --stop`;
  say(`it runs in the background; stop it with: ${stop}`);
  for (const line of readyLines(join(directory, 'master')).slice(0, -1)) say(line);
  return 0;
}

/** The time that all daemons, the node host and the gateway have to end. */
const STOP_MS = 90_000;

async function stopLocal(directory: string): Promise<number> {
  const record = await runningLocal(directory);
  say('stopping');
  process.kill(record.pid, 'SIGTERM');
  const signal = stopSignal();
  try {
    await until({
      what: 'the end of it',
      withinMs: STOP_MS,
      look: async () => (isAlive(record) ? null : true),
      hint: `see ${join(directory, 'local.log')}`,
      signal,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    say('it goes on stopping');
    return 130;
  }
  say('stopped');
  return 0;
}

async function showLocal(directory: string, json: boolean): Promise<number> {
  const { pid, state: recorded, workers, openclaw } = await runningLocal(directory);
  const home = join(directory, 'master');
  const answers = await hubAnswers(home);
  const state = recorded === 'ready' && !answers ? 'ready, but the hub does not answer' : recorded;
  const withOpenClaw = `${openclaw ? 'with' : 'without'} OpenClaw`;
  if (json) printJson({ pid, state, workers, openclaw, home });
  else process.stdout.write(`process ${pid}: ${state}, ${workersText(workers)}, ${withOpenClaw}\n`);
  return answers ? 0 : 1;
}

async function hubAnswers(home: string): Promise<boolean> {
  try {
    await (await findHub(home)).ask('GET', '/status');
    return true;
  } catch (error) {
    if (error instanceof FederationError) return false;
    throw error;
  }
}

/** Looking for a federation must not make the folder that it would live in. */
async function runningLocal(directory: string): Promise<LocalRecord> {
  const found = existsSync(directory) ? await readLocalRecord(await openHome(directory)) : null;
  if (found?.alive === true) return found.record;
  throw new FederationError('NOT_RUNNING', `no federation runs in ${directory}`, {
    hint: `deploy-federation local --dir ${directory}`,
  });
}
