import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { signalGroup } from '#src/adapters/openclaw/program.ts';

const FILE = 'federation-process';

/** Keeps who runs in this state directory, so that a daemon that starts after a crash can end it. */
export async function rememberProcess(stateDirectory: string, pid: number): Promise<void> {
  const started = await startOf(pid);
  if (started !== null) await writeFile(join(stateDirectory, FILE), `${pid} ${started}\n`, { mode: 0o600 });
}

/**
 * Ends what an earlier daemon left running in this state directory: two would be the same device at the gateway. A
 * process counts as the same only with the same start time; where the system does not tell it (no /proc), none does.
 */
export async function endOrphan(stateDirectory: string, log: Log): Promise<void> {
  const file = join(stateDirectory, FILE);
  const [pid = '', started] = (await readFile(file, 'utf8').catch(() => '')).trim().split(' ');
  if (/^\d+$/.test(pid) && started !== undefined && (await startOf(Number(pid))) === started) {
    log.warn('a process of an earlier daemon is ended', { pid: Number(pid) });
    signalGroup(Number(pid), 'SIGKILL');
    while ((await startOf(Number(pid))) === started) await pause(20);
  }
  await rm(file, { force: true });
}

/** Start time of a living process in clock ticks since boot; null where it is gone or not told. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  // The name stands in parentheses and may hold spaces: fields are counted behind it, from the third.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields === undefined || fields[0] === 'Z') return null;
  return fields[19] ?? null;
}
