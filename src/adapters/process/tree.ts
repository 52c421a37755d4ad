import { setTimeout as sleep } from 'node:timers/promises';
import { scanProcesses } from '#src/adapters/process/scan.ts';
import type { Cgroup } from '#src/adapters/process/cgroup.ts';

export interface TreeEnding {
  /** TERM first, and KILL only to what is left after `killAfterMs`. */
  readonly termFirst: boolean;
  readonly killAfterMs: number;
}

/** A process with all that came of it. */
export interface Tree {
  readonly id: string;
  readonly pid: number;
  readonly cgroup: Cgroup | null;
  /** While its leader is not reaped, the number of the group can't be another's. */
  readonly leaderLives: () => boolean;
}

const POLL_MS = [5, 10, 20, 40, 80, 160];
const KILL_ROUNDS = 60;

/** Ends a tree, also what left its group. Resolves with the number of processes that are alive after KILL. */
export async function endTree(tree: Tree, { termFirst, killAfterMs }: TreeEnding): Promise<number> {
  if (termFirst) {
    const found = await members(tree);
    signalGroup(tree, 'SIGTERM');
    for (const { pid, group } of found) if (group !== tree.pid || !tree.leaderLives()) signal(pid, 'SIGTERM');
    if (await gone(tree, killAfterMs)) return 0;
  }
  tree.cgroup?.freeze();
  signalGroup(tree, 'SIGKILL');
  return killAll(async () => {
    const alive = (await members(tree)).map(({ pid }) => pid);
    return [...alive, ...(tree.cgroup?.threads() ?? []), ...(groupLives(tree) ? [-tree.pid] : [])];
  });
}

/** Kills what `find` finds until it finds nothing. Resolves with the number that it found last. */
export async function killAll(find: () => Promise<readonly number[]>): Promise<number> {
  for (let round = 0; ; round++) {
    const alive = new Set(await find());
    alive.delete(process.pid);
    if (alive.size === 0 || round === KILL_ROUNDS) return alive.size;
    for (const pid of alive) signal(pid, 'SIGKILL');
    await sleep(POLL_MS[Math.min(round, POLL_MS.length - 3)]);
  }
}

interface Found {
  readonly pid: number;
  readonly group: number;
}

async function members({ id, pid: leader, cgroup, leaderLives }: Tree): Promise<Found[]> {
  const inside = new Set(cgroup?.threads());
  const found = await scanProcesses();
  // A leader that was reaped and is seen again is another process: the system gave its number away.
  const groupIsOurs = leaderLives() || !found.some(({ pid }) => pid === leader);
  return found.filter(
    ({ pid, group, invocation }) => invocation === id || inside.has(pid) || (groupIsOurs && group === leader),
  );
}

async function gone(tree: Tree, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (let round = 0; ; round++) {
    if (!tree.leaderLives() && !groupLives(tree) && (await members(tree)).length === 0) return true;
    const left = deadline - performance.now();
    if (left <= 0) return false;
    await sleep(Math.min(left, POLL_MS[Math.min(round, POLL_MS.length - 1)] ?? 0));
  }
}

/** Only where /proc does not say it: to kill(2) a zombie is a member too. */
function groupLives({ pid }: Tree): boolean {
  return process.platform !== 'linux' && signal(-pid, 0);
}

function signalGroup({ pid, leaderLives }: Tree, name: NodeJS.Signals): void {
  if (process.platform !== 'linux' || leaderLives()) signal(-pid, name);
}

/** False when there is none such, or it is not ours to signal. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
