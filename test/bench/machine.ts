import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** How busy the machine is. */
export interface Condition {
  /** Average of runnable processes over a minute. */
  readonly load: number;
  /** Share of the last ten seconds in which something waited for a CPU, per cent; null where Linux does not say. */
  readonly pressure: number | null;
}

export interface Watched extends Condition {
  /** Cores that others used on average while it was measured. */
  readonly others: number;
}

/** Of each processor; the average is of a minute, so our own last figure is in it too. */
const MAX_LOAD = 1.5;
const MAX_PRESSURE = 30;
const MAX_OTHERS = 0.5;
const POLL_MS = 500;

export function readCondition(): Condition {
  const some = /^some avg10=([\d.]+)/m.exec(read('/proc/pressure/cpu'))?.[1];
  return { load: loadavg()[0] ?? 0, pressure: some === undefined ? null : Number(some) };
}

/** Figures are trusted only where nobody else wanted the processors. */
export function isCalm({ load, pressure, others = 0 }: Condition & { readonly others?: number }): boolean {
  return load < MAX_LOAD * availableParallelism() && (pressure ?? 0) < MAX_PRESSURE && others < MAX_OTHERS;
}

export async function awaitCalm(withinMs: number): Promise<Condition> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const condition = readCondition();
    if (isCalm(condition) || performance.now() >= deadline) return condition;
    await sleep(POLL_MS);
  }
}

/** Starts to count what others use of the processors; the result stops it. */
export function watchOthers(): () => number {
  const [since, before] = [performance.now(), othersTicks()];
  return () => {
    const seconds = (performance.now() - since) / 1000;
    return Math.max(0, (othersTicks() - before) / TICKS_PER_SECOND / seconds);
  };
}

/** USER_HZ: the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

function othersTicks(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = read('/proc/stat')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .map(Number);
  return user + nice + system + irq + softirq + steal - ownTicks();
}

/** Of this process, its descendants, and those of them that have ended. */
function ownTicks(): number {
  const ticks = new Map<number, number>();
  const children = new Map<number, number[]>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const stat = read(`/proc/${pid}/stat`);
    // After the name, which may hold anything: state, parent, …, utime (12th), stime, cutime, cstime. See proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    ticks.set(
      pid,
      fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0),
    );
  }
  const sum = (pid: number): number =>
    (children.get(pid) ?? []).reduce((total, child) => total + sum(child), ticks.get(pid) ?? 0);
  return sum(process.pid);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
