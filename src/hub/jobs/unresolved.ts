import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import { outcomeOf, summarize } from '#src/core/outcome.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Link } from '#src/link/accept.ts';
import type { JobView, Result } from '#src/protocol/hub-api/job.ts';
import type { InvocationState } from '#src/protocol/worker-api.ts';
import { WORKER_JSON_BYTES } from '#src/protocol/frames.ts';
import { invocationStateSchema } from '#src/protocol/worker-api.ts';

/** Finds out what became of invocations whose end nobody saw, as soon as their node is back to be asked. */
export interface Unresolved {
  /** A job that ended with `unknown` parts. */
  watch(job: JobView): void;
  readonly done: Promise<void>;
}

export interface UnresolvedOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  /** Id that a node had before it changed its key; null where it never did. */
  readonly formerId: (nodeId: string) => string | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Jobs that a new hub looks through for parts that its predecessor left open. */
const LOOK_BACK = 1000;
/** Between two questions for an invocation that still runs. */
const ASK_AGAIN_MS = 5000;

/** For one answer. */
const ANSWER_MS = 5000;

/** An answer that leaves the outcome as it is: the node's own word is that it does not know either. */
const LOST = 'the node does not know how it ended';

export async function createUnresolved({
  store,
  fleet,
  formerId,
  log,
  signal,
}: UnresolvedOptions): Promise<Unresolved> {
  /** By node: the invocations to ask for, with their jobs. */
  const open = new Map<string, Map<string, string>>();
  const asking = new Map<string, Promise<void>>();
  let turn: Promise<unknown> = Promise.resolve();

  /** One after the other: two parts of one job are two changes of the same record. */
  function settleInTurn(job: string, invocation: string, state: InvocationState): Promise<void> {
    const mine = turn.then(() => settle(store, job, invocation, state));
    turn = mine.catch(() => undefined);
    return mine;
  }

  function watch({ job, results }: JobView): void {
    for (const { id, invocation, outcome, reason } of results) {
      if (outcome !== 'unknown' || reason === LOST) continue;
      if (!open.has(id)) open.set(id, new Map());
      open.get(id)!.set(invocation, job);
      const link = fleet.link(id);
      if (link !== undefined) askSoon(link);
    }
  }

  /** What a node left open by the key that it had. */
  function inherit(nodeId: string): void {
    const former = formerId(nodeId);
    const left = former === null ? undefined : open.get(former);
    if (former === null || left === undefined) return;
    open.delete(former);
    open.set(nodeId, new Map([...(open.get(nodeId) ?? []), ...left]));
  }

  function askSoon(link: Link): void {
    inherit(link.nodeId);
    if (asking.has(link.nodeId) || !open.has(link.nodeId)) return;
    const work = ask(link)
      .catch(async (error: unknown) => {
        log.warn('a node could not be asked for lost results', { problem: String(error) });
        await pause(ASK_AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined);
      })
      .finally(() => {
        asking.delete(link.nodeId);
        // What was lost meanwhile, or on a link that came meanwhile.
        const next = fleet.link(link.nodeId);
        if (next !== undefined && !signal.aborted) askSoon(next);
      });
    asking.set(link.nodeId, work);
  }

  /** One question that is not answered must not keep the others from being asked. */
  function noAnswer(error: unknown): null {
    log.warn('a node did not say how an invocation ended', { problem: String(error) });
    return null;
  }

  async function ask(link: Link): Promise<void> {
    const questions = open.get(link.nodeId);
    while (questions !== undefined && questions.size > 0 && fleet.link(link.nodeId) === link && !signal.aborted) {
      for (const [invocation, job] of [...questions]) {
        const state = await stateOf(link, invocation).catch(noAnswer);
        if (state === null || state.state === 'running') continue;
        await settleInTurn(job, invocation, state);
        questions.delete(invocation);
      }
      if (questions.size === 0) open.delete(link.nodeId);
      else await pause(ASK_AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  for (const job of await store.jobs(LOOK_BACK)) {
    if (job.endedAt === null) await endInterrupted(store, job);
    watch(job);
  }
  fleet.changes.on('up', askSoon);
  return {
    watch,
    get done() {
      return Promise.all(asking.values()).then(() => undefined);
    },
  };
}

async function stateOf(link: Link, invocation: string): Promise<InvocationState> {
  const stream = link.request({ ':method': 'GET', ':path': `/invocations/${invocation}` }, { endStream: true });
  const late = setTimeout(() => stream.destroy(new FederationError('LINK_LOST', 'no answer')), ANSWER_MS);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Thrown from here, it also destroys the stream.
      if (bytes > WORKER_JSON_BYTES) throw new FederationError('LINK_LOST', 'an answer is too long');
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(late);
  }
  return invocationStateSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}

async function settle(store: Store, id: string, invocation: string, state: InvocationState): Promise<void> {
  const job = await store.job(id);
  if (job === null) return;
  const results = job.results.map((result) => (result.invocation === invocation ? settled(result, state) : result));
  const { node, outcome } = results.find((result) => result.invocation === invocation)!;
  await store.commit([
    { type: 'job', id, value: { ...job, results, summary: summarize(results) } },
    {
      type: 'audit',
      entry: { at: Date.now(), action: 'job.resolve', by: `node:${node}`, detail: { job: id, invocation, outcome } },
    },
  ]);
}

function settled(result: Result, state: InvocationState): Result {
  switch (state.state) {
    case 'ended': {
      const { exitCode, signal, durationMs, stdoutBytes, stderrBytes, spawnError } = state.exit;
      return {
        ...result,
        ...{ exitCode, signal, durationMs, stdoutBytes, stderrBytes },
        outcome: outcomeOf(state.exit),
        reason: spawnError ?? null,
        truncated: true,
        replayed: true,
      };
    }
    case 'never-started':
      return { ...result, outcome: 'unreachable', reason: 'the node never started it' };
    case 'lost':
    case 'running':
      return { ...result, reason: LOST };
  }
}

/** A job that its hub did not live to end: its open parts stay `unknown` until their nodes are asked. */
async function endInterrupted(store: Store, job: JobView): Promise<void> {
  const at = Date.now();
  await store.commit([
    { type: 'job', id: job.job, value: { ...job, endedAt: new Date(at).toISOString() } },
    {
      type: 'audit',
      entry: { at, action: 'job.interrupted', by: 'hub', detail: { job: job.job, summary: job.summary } },
    },
  ]);
}
