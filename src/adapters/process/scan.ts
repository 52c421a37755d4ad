import { readFileSync, readdirSync } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';

/** Environment variable that holds the invocation's id in every process that comes of it. */
export const INVOCATION_VARIABLE = 'OPENCLAW_FEDERATION_INVOCATION';

export interface ProcessInfo {
  readonly pid: number;
  readonly group: number;
  /** Id of the invocation that it came of, by its environment. */
  readonly invocation: string | null;
}

const SLICE = 64;
const RETRIES = 20;
const RETRY_MS = 50;
/** What reading says of a process that is gone, or another user's, and of a system without /proc. */
const ABSENT: ReadonlySet<unknown> = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);
let upcoming: Promise<ProcessInfo[]> | null = null;

/** Every process that lives (zombies do not), as /proc shows it; none where there is no /proc. */
export function scanProcesses(): Promise<ProcessInfo[]> {
  // One walk answers all who asked before it began: a cancelled broadcast asks a hundred times at once.
  upcoming ??= setImmediate().then(() => {
    upcoming = null;
    return walkUntilDone();
  });
  return upcoming;
}

/** Half of the processes must not pass for all. Throws when there is no looking at all, for want of files or memory. */
async function walkUntilDone(): Promise<ProcessInfo[]> {
  for (let left = RETRIES; ; left--) {
    try {
      return await walk();
    } catch (error) {
      if (left === 0) throw error;
      await setTimeout(RETRY_MS);
    }
  }
}

async function walk(): Promise<ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  const pids = processIds();
  for (const [at, pid] of pids.entries()) {
    if (at % SLICE === SLICE - 1) await setImmediate();
    const info = pid === process.pid ? null : describe(pid);
    if (info !== null) found.push(info);
  }
  return found;
}

function processIds(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

function describe(pid: number): ProcessInfo | null {
  const stat = read(pid, 'stat');
  if (stat === null) return null;
  // The program's name stands in parentheses and may hold anything: `pid (name) state ppid pgrp …`.
  const [state, , group] = stat.toString('latin1', stat.lastIndexOf(')') + 2).split(' ', 3);
  if (state === 'Z' || state === 'X') return null;
  return { pid, group: Number(group), invocation: invocationOf(read(pid, 'environ')) };
}

/** Null when the process is gone or another user's. */
function read(pid: number, file: string): Buffer | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ABSENT.has(error.code);
}

function invocationOf(environ: Buffer | null): string | null {
  const entry = `${INVOCATION_VARIABLE}=`;
  if (environ === null || !environ.includes(entry)) return null;
  const found = environ
    .toString('latin1')
    .split('\0')
    .find((line) => line.startsWith(entry));
  return found?.slice(entry.length) ?? null;
}
