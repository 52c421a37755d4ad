import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openHome } from '#src/adapters/home.ts';
import { stopSignal } from '#src/adapters/signals.ts';
import { say } from '#src/adapters/terminal.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { until } from '#src/deploy/condition.ts';
import { detachedNews, startDetached } from '#src/deploy/detached.ts';
import type { LocalFederation } from '#src/deploy/local.ts';
import { startLocal } from '#src/deploy/local.ts';
import type { LocalRecord } from '#src/deploy/local-record.ts';
import { isAlive, readLocalRecord } from '#src/deploy/local-record.ts';
import { findOpenClaw } from '#src/deploy/openclaw-program.ts';

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
  const signal = stopSignal();
  try {
    const federation = await startFederation(directory, flags, progress, signal);
    news?.ready();
    for (const line of readyLines(federation.home)) say(line);
    await runUntil(federation, signal);
    say('stopped');
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    news?.failed(error);
    throw error;
  }
}

export async function startFederation(
  directory: string,
  { workers, openclaw }: Pick<LocalFlags, 'workers' | 'openclaw'>,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<LocalFederation> {
  const program = openclaw === false ? null : await findOpenClaw(openclaw);
  progress(`starting a federation of ${workers} workers in ${directory}`);
  return startLocal({ directory, workers, openclaw: program, progress, signal });
}

/** Stays until the signal or a part's failure, then stops everything. */
export async function runUntil(federation: LocalFederation, signal: AbortSignal): Promise<void> {
  try {
    if (!signal.aborted) await Promise.race([federation.failed, once(signal, 'abort')]);
    say('stopping');
  } finally {
    await federation.stop();
  }
}

export function readyLines(home: string): string[] {
  const manage = `manage-federation --home ${home}`;
  return [
    'ready; in another terminal:',
    `  ${manage} list`,
    `  ${manage} exec w1 -- uname -a`,
    `  ${manage} broadcast "uptime"`,
    'Ctrl-C here stops it all',
  ];
}

async function detach(directory: string, flags: LocalFlags): Promise<number> {
  const home = await openHome(directory);
  const openclaw = flags.openclaw === false ? ['--no-openclaw'] : ['--openclaw', await findOpenClaw(flags.openclaw)];
  const args = ['local', '--dir', directory, '--workers', String(flags.workers), ...openclaw];
  await startDetached(args, home.file('local.log'), say);
  say(`it runs in the background; stop it with: deploy-federation local --dir ${directory} --stop`);
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
  const { pid, state, workers, openclaw } = await runningLocal(directory);
  if (json) printJson({ pid, state, workers, openclaw, home: join(directory, 'master') });
  else say(`process ${pid}: ${state}, ${workers} workers, ${openclaw ? 'with' : 'without'} OpenClaw`);
  return 0;
}

/** Looking for a federation must not make the folder that it would live in. */
async function runningLocal(directory: string): Promise<LocalRecord> {
  const found = existsSync(directory) ? await readLocalRecord(await openHome(directory)) : null;
  if (found?.alive === true) return found.record;
  throw new FederationError('NOT_RUNNING', `no federation runs in ${directory}`, {
    hint: `deploy-federation local --dir ${directory}`,
  });
}
