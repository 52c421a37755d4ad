import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { startTime } from '#src/adapters/process/start-time.ts';
import { signalGroup } from '#src/adapters/openclaw/program.ts';

const FILE = 'federation-process';

/** Keeps who runs in this state directory, so that a daemon that starts after a crash can end it. */
export async function rememberProcess(stateDirectory: string, pid: number): Promise<void> {
  const started = startTime(pid);
  if (started !== null) await writeFile(join(stateDirectory, FILE), `${pid} ${started}\n`, { mode: 0o600 });
}

/**
 * Ends what an earlier daemon left running in this state directory: two would be the same device at the gateway. A
 * process counts as the same only with the same start time; where the system does not tell it (no /proc), none does.
 */
export async function endOrphan(stateDirectory: string, log: Log): Promise<void> {
  const file = join(stateDirectory, FILE);
  const [pid = '', started] = (await readFile(file, 'utf8').catch(() => '')).trim().split(' ');
  if (/^\d+$/.test(pid) && started !== undefined && startTime(Number(pid)) === started) {
    log.warn('a process of an earlier daemon is ended', { pid: Number(pid) });
    signalGroup(Number(pid), 'SIGKILL');
    while (startTime(Number(pid)) === started) await pause(20);
  }
  await rm(file, { force: true });
}
