import type { Home } from '#src/adapters/home.ts';
import { isRunning, startTime } from '#src/adapters/process/start-time.ts';

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
  const full: LocalRecord = { pid: process.pid, startedTicks: startTime(process.pid), ...record };
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

export function isAlive({ pid, startedTicks }: LocalRecord): boolean {
  return isRunning(pid, startedTicks);
}
