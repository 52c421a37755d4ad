import { readFileSync } from 'node:fs';
import type { Home } from '#src/adapters/home.ts';

/** File in the folder of a local federation that says which process runs it. */
const RECORD_FILE = 'local.json';

export interface LocalRecord {
  readonly pid: number;
  /** When that process started, in the kernel's ticks: a pid alone may be another process's by now. */
  readonly startedTicks: string | null;
  readonly state: 'starting' | 'ready';
  readonly workers: number;
  readonly openclaw: boolean;
}

export async function writeLocalRecord(home: Home, record: Omit<LocalRecord, 'pid' | 'startedTicks'>): Promise<void> {
  const full: LocalRecord = { pid: process.pid, startedTicks: startedTicks(process.pid), ...record };
  await home.write(RECORD_FILE, `${JSON.stringify(full)}\n`);
}

export async function removeLocalRecord(home: Home): Promise<void> {
  await home.remove(RECORD_FILE);
}

/** What the file says, and whether the process that it names is still there. */
export async function readLocalRecord(home: Home): Promise<{ record: LocalRecord; alive: boolean } | null> {
  const text = await home.read(RECORD_FILE);
  if (text === null) return null;
  const record = JSON.parse(text) as LocalRecord;
  return { record, alive: isAlive(record) };
}

export function isAlive({ pid, startedTicks: ticks }: LocalRecord): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return ticks === null || startedTicks(pid) === ticks;
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)); null where there is no /proc. */
function startedTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
