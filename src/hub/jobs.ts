import { ulid } from 'ulid';
import type { Log } from '#src/adapters/log.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/membership.ts';
import { summarize } from '#src/core/outcome.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText, consent } from '#src/core/policy.ts';
import { scrub } from '#src/core/secrets.ts';
import { commandText } from '#src/hub/command-text.ts';
import type { Fleet } from '#src/hub/fleet.ts';
import type { Ended, OutputSink, RunningInvocation } from '#src/hub/invocation.ts';
import { invoke } from '#src/hub/invocation.ts';
import { chooseTargets } from '#src/hub/targets.ts';
import type { jobCreateSchema, JobEnded, JobOpened, JobView, Result } from '#src/protocol/hub-api.ts';
import type { FRAME } from '#src/protocol/frames.ts';
import type { Started } from '#src/protocol/worker-api.ts';
import type { z } from 'zod';

type JobRequest = z.output<typeof jobCreateSchema>;

/** Who hears of a job while it runs. `target` is the index in the list of targets. */
export interface JobAudience {
  opened(job: JobOpened): void;
  started(target: number, started: Started): void;
  /** Returns false when it is full; the job's `resume` is to be called when it is not any more. */
  output(target: number, type: typeof FRAME.stdout | typeof FRAME.stderr, bytes: Buffer): boolean;
  ended(target: number, result: Result): void;
}

export interface RunningJob {
  readonly id: string;
  readonly targets: readonly Member[];
  readonly done: Promise<JobEnded>;
  /** Ends it everywhere; `done` still says how each part ended. */
  cancel(by: string): Promise<void>;
  resume(): void;
  /** The one invocation that takes stdin. */
  readonly stdin: RunningInvocation | null;
}

export interface Jobs {
  /** Resolves when the job is durably recorded and under way. Throws NODE_NOT_FOUND, NODE_AMBIGUOUS, NOTHING_MATCHED. */
  start(request: JobRequest, asker: Asker, audience: JobAudience): Promise<RunningJob>;
  find(id: string): RunningJob;
  readonly running: number;
  runningOn(nodeId: string): number;
  list(limit: number): Promise<JobView[]>;
  view(id: string): Promise<JobView>;
  /** Ends all and waits for the confirmations. */
  close(): Promise<void>;
}

export interface JobsOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly members: () => Iterable<Member>;
  readonly broadcastTimeoutMs: number;
  /** Takes a job that ended with parts whose end nobody saw. */
  readonly onUnknown: (job: JobView) => void;
  readonly log: Log;
}

/** A node has killAfterSeconds from TERM to KILL; then its word has to travel. */
const CONFIRM_MS = 8000;

export function createJobs({ store, fleet, members, broadcastTimeoutMs, onUnknown, log }: JobsOptions): Jobs {
  const running = new Map<string, RunningJob>();
  const perNode = new Map<string, number>();

  const count = (nodeId: string, by: 1 | -1) => perNode.set(nodeId, (perNode.get(nodeId) ?? 0) + by);

  async function start(request: JobRequest, asker: Asker, audience: JobAudience): Promise<RunningJob> {
    const { targets, leftOut } = chooseTargets([...members()], request.targets, fleet);
    if (request.stdin && targets.length !== 1) {
      throw new FederationError('USAGE', 'stdin goes to one node only', { hint: 'name one node, or drop the input' });
    }
    const id = ulid();
    const startedAt = Date.now();
    const results: Result[] = targets.map((member) => underWay(member));
    const view = (endedAt: number | null): JobView => ({
      job: id,
      kind: request.kind,
      by: askerText(asker),
      command: scrub(commandText(request.command)),
      startedAt: new Date(startedAt).toISOString(),
      endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
      summary: summarize(results),
      results,
    });
    await store.commit([
      { type: 'job', id, value: view(null) },
      auditChange('job.start', asker, startedAt, {
        job: id,
        kind: request.kind,
        command: scrub(commandText(request.command)),
        cwd: request.command.cwd ?? null,
        // Names only: a value may well be a secret.
        env: Object.keys(request.command.env),
        targets: targets.map(({ name, id: node }) => ({ node: name, id: node })),
      }),
    ]);
    audience.opened({
      job: id,
      targets: targets.map(({ name, id: node }) => ({ node: name, id: node })),
      leftOut: leftOut.map((member) => ({ node: member.name, id: member.id, state: fleet.state(member) })),
    });

    const invocations: RunningInvocation[] = [];
    let ending = false;
    const hashes: Ended['hashes'][] = [];

    async function runOn(member: Member, target: number): Promise<void> {
      const blank = results[target]!;
      const early = notSent(member);
      const { hashes: outputHashes, ...ended } = early ?? (await follow(member, target, blank.invocation));
      const result = { ...blank, ...ended };
      results[target] = result;
      hashes[target] = outputHashes;
      audience.ended(target, result);
    }

    /** Why nothing is sent to this node, as the end of its part; null where something is. */
    function notSent(member: Member): Ended | null {
      const verdict = consent(asker, member.role);
      if (verdict.kind !== 'allow') return withoutRun('denied', verdict.rule);
      if (ending) return withoutRun('cancelled', null);
      return fleet.link(member.id) === undefined ? withoutRun('unreachable', `${member.name} is not connected`) : null;
    }

    async function follow(member: Member, target: number, invocation: string): Promise<Ended> {
      const sink: OutputSink = {
        started: (started) => audience.started(target, started),
        output: (type, bytes) => audience.output(target, type, bytes),
      };
      const { command, stdin } = request;
      const timeoutMs = command.timeoutMs ?? (request.kind === 'broadcast' ? broadcastTimeoutMs : null);
      const spec = { id: invocation, job: id, asker, command: { ...command, timeoutMs }, stdin };
      let one: RunningInvocation;
      try {
        const deadline = timeoutMs === null ? null : timeoutMs + CONFIRM_MS;
        one = invoke(fleet.link(member.id)!, spec, sink, deadline);
      } catch (error) {
        if (error instanceof FederationError) return withoutRun('unreachable', error.message);
        throw error;
      }
      invocations[target] = one;
      count(member.id, 1);
      try {
        return await one.ended;
      } finally {
        count(member.id, -1);
      }
    }

    async function finish(): Promise<JobEnded> {
      try {
        await Promise.all(targets.map((member, target) => runOn(member, target)));
        const endedAt = Date.now();
        await store.commit([
          { type: 'job', id, value: view(endedAt) },
          auditChange('job.end', asker, endedAt, {
            job: id,
            summary: summarize(results),
            results: results.map(({ node, outcome, exitCode }, at) => ({
              node,
              outcome,
              exitCode,
              sha256: hashes[at],
            })),
          }),
        ]);
        if (results.some(({ outcome }) => outcome === 'unknown')) onUnknown(view(endedAt));
        return { job: id, summary: summarize(results) };
      } finally {
        running.delete(id);
      }
    }

    const job: RunningJob = {
      id,
      targets,
      done: finish(),
      async cancel(by) {
        if (ending) return;
        ending = true;
        log.info('a job is cancelled', { job: id, by });
        for (const one of invocations) one?.cancel(CONFIRM_MS);
        await store.commit([auditChange('job.cancel', asker, Date.now(), { job: id, by })]);
      },
      resume() {
        for (const one of invocations) one?.resume();
      },
      get stdin() {
        return request.stdin ? (invocations[0] ?? null) : null;
      },
    };
    running.set(id, job);
    return job;
  }

  return {
    start,
    find(id) {
      const job = running.get(id);
      if (job === undefined) throw noSuchJob(id);
      return job;
    },
    get running() {
      return running.size;
    },
    runningOn: (nodeId) => perNode.get(nodeId) ?? 0,
    list: (limit) => store.jobs(limit),
    async view(id) {
      const found = await store.job(id);
      if (found === null) throw noSuchJob(id);
      return found;
    },
    async close() {
      const jobs = [...running.values()];
      await Promise.all(jobs.map((job) => job.cancel('the hub, which stops')));
      await Promise.all(jobs.map((job) => job.done));
    },
  };
}

/** What is recorded of a part that has no end yet: if the hub dies now, it may have run. */
function underWay(member: Member): Result {
  const { hashes: _, ...nothing } = withoutRun('unknown', 'no end is known');
  return { node: member.name, id: member.id, invocation: ulid(), ...nothing };
}

function withoutRun(outcome: Result['outcome'], reason: string | null): Ended {
  return {
    outcome,
    reason,
    exitCode: null,
    signal: null,
    durationMs: 0,
    stdoutBytes: 0,
    stderrBytes: 0,
    truncated: false,
    replayed: false,
    hashes: {},
  };
}

function auditChange(action: string, asker: Asker, at: number, detail: Readonly<Record<string, unknown>>): Change {
  return { type: 'audit', entry: { at, action, by: askerText(asker), detail } };
}

function noSuchJob(id: string): FederationError {
  return new FederationError('JOB_NOT_FOUND', `no job ${JSON.stringify(id)}`, { hint: 'manage-federation jobs' });
}
