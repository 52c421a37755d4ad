import { join } from 'node:path/posix';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import { jsonIn } from '#src/deploy/doctor/ask/json.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** What the worker daemon last wrote down of its link and its node host; an earlier one says nothing of the latter. */
const workerSchema = z.object({
  name: z.string(),
  fingerprint: z.string(),
  hub: z.string(),
  link: z.enum(['connecting', 'waiting', 'refused', 'member']),
  held: z.string().nullable(),
  problem: z.object({ message: z.string(), hint: z.string().optional() }).nullable(),
  nodeHost: z.enum(['off', 'waiting', 'running', 'connected']).nullable().default(null),
  nodeHostProblem: z.string().nullable().default(null),
});
export type WorkerAnswer = z.infer<typeof workerSchema>;

/** A daemon that has just started needs a moment to reach its hub. */
const START_MS = 5000;
const ASK_MS = 250;

/** Null where the worker daemon has written nothing. Where its unit `runs`, what it is about to write is waited for. */
export async function askWorker(
  machine: Machine,
  facts: Facts,
  runs: boolean,
  signal: AbortSignal,
): Promise<WorkerAnswer | null> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const answer = await readWorker(machine, facts, signal);
    const isStarting = answer === null || (answer.link === 'connecting' && answer.problem === null);
    if (!runs || !isStarting || performance.now() >= deadline) return answer;
    await pause(ASK_MS, undefined, { signal });
  }
}

async function readWorker(machine: Machine, facts: Facts, signal: AbortSignal): Promise<WorkerAnswer | null> {
  const text = await readHomeFile(machine, facts, WORKER_RECORD_FILE, signal);
  const parsed = workerSchema.safeParse(jsonIn(text));
  return parsed.success ? parsed.data : null;
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
