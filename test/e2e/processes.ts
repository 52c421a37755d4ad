import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

export interface ProcessSeen {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** Every process whose command line, or environment, holds `text`. Zombies have neither. */
export function processesOf(text: string): ProcessSeen[] {
  return allProcesses().filter(
    ({ pid, argv }) => argv.join('\0').includes(text) || readProc(pid, 'environ').includes(text),
  );
}

/** The processes that run `program` with an argument that holds `mark`; never the command that asked for them. */
export function programsWith(program: string, mark: string): ProcessSeen[] {
  return allProcesses().filter(({ argv }) => argv[0] === program && argv.some((word) => word.includes(mark)));
}

export function isAlive(pid: number): boolean {
  return readProc(pid, 'cmdline') !== '';
}

/** Bytes of resident memory: what it was at most since `forgetPeak`. */
export function peakMemory(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, 'status'))?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} shows no peak of its memory`);
  return Number(kilobytes) * 1024;
}

/** Lets the kernel begin a new peak (proc_pid_clear_refs(5)). Returns what is resident now. */
export function forgetPeak(pid: number): number {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  return peakMemory(pid);
}

/** Bytes that a process has written so far, to whatever it was. */
export function bytesWritten(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(readProc(pid, 'io'))?.[1] ?? Number.NaN);
}

function allProcesses(): ProcessSeen[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.map((pid) => ({ pid: Number(pid), argv: readProc(Number(pid), 'cmdline').split('\0') }));
}

function readProc(pid: number, file: 'cmdline' | 'environ' | 'status' | 'io'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has ended since it was listed.
    return '';
  }
}
