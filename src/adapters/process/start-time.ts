import { readFileSync } from 'node:fs';

/**
 * When a living process started, in clock ticks since boot (field 22 of /proc/PID/stat, proc_pid_stat(5)): a pid
 * alone may be another process's by now. Null where it is gone, or where the system does not tell.
 */
export function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may hold spaces: fields are counted behind it, from the third.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** Whether the process that had this pid and start time is still there; by its pid alone where no time was told. */
export function isRunning(pid: number, started: string | null): boolean {
  if (started !== null) return startTime(pid) === started;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
