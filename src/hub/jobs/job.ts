import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { summarize } from '#src/core/outcome.ts';
import type { Asker } from '#src/core/policy.ts';
import { consent } from '#src/core/policy.ts';
import type { Permit } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Ended, OutputSink, RunningInvocation } from '#src/hub/jobs/invocation.ts';
import { invoke, withoutRun } from '#src/hub/jobs/invocation.ts';
import type { JobRecord } from '#src/hub/jobs/job-record.ts';
import type { JobRequest } from '#src/hub/jobs/jobs.ts';
import type { FRAME } from '#src/protocol/frames.ts';
import type { JobEnded, JobOpened, Result } from '#src/protocol/hub-api/job.ts';
import type { Started } from '#src/protocol/worker-api.ts';

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
  /** Rejects where `begun` does: then nothing ran. */
  readonly done: Promise<JobEnded>;
  /** Ends it everywhere; `done` still says how each part ended, and for `reason` where that is given. */
  cancel(by: string, reason?: string | null): Promise<void>;
  resume(): void;
  readonly takesStdin: boolean;
  /** The one invocation that takes stdin; null where nothing was sent. */
  stdin(): RunningInvocation | null;
  runsOn(nodeId: string): boolean;
}

export interface JobParts {
  readonly id: string;
  readonly request: JobRequest;
  readonly asker: Asker;
  readonly targets: readonly Member[];
  readonly permit: Permit;
  readonly record: JobRecord;
  /** Resolves when the record is durable: nothing runs before that. */
  readonly recorded: Promise<void>;
  /** Resolves when the audience has heard of the job, too: nothing is told of its parts before that. */
  readonly begun: Promise<void>;
  readonly audience: JobAudience;
  readonly store: Store;
  readonly fleet: Fleet;
  readonly broadcastTimeoutMs: number;
  /** Why nothing may run now; null where it may. */
  readonly denied: () => string | null;
  readonly log: Log;
}

/** Sends a job to its targets, all at once. */
export function runJob(parts: JobParts): RunningJob {
  const { id, request, asker, targets, permit, record, recorded, begun, audience, store, fleet } = parts;
  const { broadcastTimeoutMs, denied, log } = parts;
  const invocations = new Map<number, RunningInvocation>();
  let ending = false;
  let endedFor: string | null = null;

  const notKept = (error: unknown): void =>
    log.error('what became of a job was not kept', { job: id, problem: String(error) });

  async function runOn(member: Member, target: number): Promise<void> {
    const blank = record.results[target]!;
    const { hashes, ...ended } = notSent(member) ?? (await follow(member, target, blank.invocation));
    await begun;
    const reason = ended.reason ?? (ended.outcome === 'cancelled' ? endedFor : null);
    const result = { ...blank, ...ended, reason };
    record.results[target] = result;
    record.hashes[target] = hashes;
    audience.ended(target, result);
  }

  /** Why nothing is sent to this node, as the end of its part; null where something is. */
  function notSent(member: Member): Ended | null {
    const lockedDown = denied();
    if (lockedDown !== null) return withoutRun('denied', lockedDown);
    const verdict = consent(asker, member.role);
    const isApproved = verdict.kind === 'approval' && permit.approvalFor(member) !== undefined;
    if (verdict.kind !== 'allow' && !isApproved) return withoutRun('denied', verdict.rule);
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
    const approval = permit.approvalFor(member);
    const spec = { id: invocation, job: id, asker, command: { ...command, timeoutMs }, approval, stdin };
    try {
      invocations.set(target, invoke(fleet.link(member.id)!, spec, sink, recorded, timeoutMs));
    } catch (error) {
      if (error instanceof FederationError) return withoutRun('unreachable', error.message);
      throw error;
    }
    try {
      return await invocations.get(target)!.ended;
    } finally {
      invocations.delete(target);
    }
  }

  async function finish(): Promise<JobEnded> {
    const ends = await Promise.allSettled(targets.map((member, target) => runOn(member, target)));
    await begun;
    for (const end of ends)
      if (end.status === 'rejected') log.error('a part of a job failed', { job: id, problem: String(end.reason) });
    // Not waited for: were it lost, the job's parts would be `unknown` here, and their nodes asked again.
    store.commitSoon(record.ended(Date.now())).catch(notKept);
    return { job: id, summary: summarize(record.results) };
  }

  return {
    id,
    targets,
    done: finish(),
    async cancel(by, reason = null) {
      if (ending) return;
      ending = true;
      endedFor = reason;
      for (const one of invocations.values()) one.cancel();
      // It is ended in any case.
      await store.commit(record.cancelled(by)).catch(notKept);
    },
    resume() {
      for (const one of invocations.values()) one.resume();
    },
    takesStdin: request.stdin,
    stdin: () => invocations.get(0) ?? null,
    runsOn: (nodeId) => [...invocations.keys()].some((target) => targets[target]?.id === nodeId),
  };
}
