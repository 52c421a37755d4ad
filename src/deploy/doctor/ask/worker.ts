import { join } from 'node:path/posix';
import { setTimeout as pause } from 'node:timers/promises';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { WorkerStanding } from '#src/deploy/worker-standing.ts';
import { workerStandingIn } from '#src/deploy/worker-standing.ts';

/** A daemon that has just started needs a moment to reach its hub. */
const START_MS = 5000;
const ASK_MS = 250;

/** Null where the worker daemon has written nothing. Where its unit `runs`, what it is about to write is waited for. */
export async function askWorker(
  machine: Machine,
  facts: Facts,
  runs: boolean,
  signal: AbortSignal,
): Promise<WorkerStanding | null> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const answer = await readWorker(machine, facts, signal);
    const isStarting = answer === null || (answer.link === 'connecting' && answer.problem === null);
    if (!runs || !isStarting || performance.now() >= deadline) return answer;
    await pause(ASK_MS, undefined, { signal });
  }
}

async function readWorker(machine: Machine, facts: Facts, signal: AbortSignal): Promise<WorkerStanding | null> {
  return workerStandingIn(await readHomeFile(machine, facts, WORKER_RECORD_FILE, signal));
}

/** A file of the worker's home, read by its owner; empty where there is none. */
export async function readHomeFile(
  machine: Machine,
  { place, person }: Facts,
  name: string,
  signal: AbortSignal,
): Promise<string> {
  const ran = await look(machine, { argv: ['cat', '--', join(place.workerHome, name)], as: person, signal });
  return ran?.code === 0 ? ran.stdout : '';
}
