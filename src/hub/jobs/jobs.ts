import type { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Asker } from '#src/core/policy.ts';
import type { Permits } from '#src/hub/approvals/permits.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { withoutRun } from '#src/hub/jobs/invocation.ts';
import type { JobAudience, RunningJob } from '#src/hub/jobs/job.ts';
import { runJob } from '#src/hub/jobs/job.ts';
import { createId } from '#src/hub/jobs/job-id.ts';
import { jobRecord } from '#src/hub/jobs/job-record.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';
import { chooseTargets } from '#src/hub/fleet/targets.ts';
import type { jobCreateSchema, JobOpened, JobView, Result } from '#src/protocol/hub-api/job.ts';

export type JobRequest = z.output<typeof jobCreateSchema>;

/** The jobs that run, and those that ran. */
export interface Jobs {
  /**
   * Resolves when the job is durably recorded and under way. Throws NODE_NOT_FOUND, NODE_AMBIGUOUS, NOTHING_MATCHED, and
   * where it is not allowed as `Permits.permit`: then nothing of it runs anywhere.
   */
  start(request: JobRequest, asker: Asker, audience: JobAudience): Promise<RunningJob>;
  find(id: string): RunningJob;
  readonly running: number;
  runningOn(nodeId: string): number;
  list(limit: number): Promise<JobView[]>;
  view(id: string): Promise<JobView>;
  /** Ends all that run now and waits for the confirmations; `reason` is what their ends say. */
  endAll(by: string, reason: string | null): Promise<void>;
  /** Takes no new job, ends all and waits for the confirmations. */
  close(): Promise<void>;
}

export interface JobsOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly members: () => Iterable<Member>;
  readonly requests: () => readonly JudgedRequest[];
  readonly permits: Pick<Permits, 'permit'>;
  readonly broadcastTimeoutMs: number;
  /** Why nothing may run now; null where it may. */
  readonly denied: () => string | null;
  /** Takes a job that ended with parts whose end nobody saw. */
  readonly onUnknown: (job: JobView) => void;
  readonly log: Log;
}

export function createJobs(options: JobsOptions): Jobs {
  const { store, fleet, members, requests, permits, broadcastTimeoutMs, denied, onUnknown, log } = options;
  const running = new Map<string, RunningJob>();
  let closing = false;

  async function start(request: JobRequest, asker: Asker, audience: JobAudience): Promise<RunningJob> {
    if (closing) throw new FederationError('HUB_STOPPING', 'the hub stops');
    const { targets, leftOut } = chooseTargets([...members()], request.targets, fleet, requests);
    if (request.stdin && targets.length !== 1) {
      throw new FederationError('USAGE', 'stdin goes to one node only', { hint: 'name one node, or drop the input' });
    }
    if (request.stdin && asker.kind === 'chat') {
      throw new FederationError('USAGE', 'a command from a chat takes no input', { hint: 'write it to a file first' });
    }
    const wanted = { asker, action: { kind: 'exec', command: request.command }, members: targets } as const;
    // What is denied by a lockdown is denied on each node by name, and uses up no approval.
    const permit = denied() === null ? permits.permit({ ...wanted, approval: request.approval }) : NO_PERMIT;
    const id = createId();
    const record = jobRecord({ id, request, asker, targets, permit, results: targets.map(underWay) });
    // The nodes get ready while the record becomes durable; they start nothing before it is.
    const recorded = store.commit(record.started());
    const begun = Promise.withResolvers<void>();
    const job = runJob({
      ...{ id, request, asker, targets, permit, record, recorded, begun: begun.promise },
      ...{ audience, store, fleet, broadcastTimeoutMs, denied, log },
    });
    // After the nodes were told to go: the client's turn costs them no time.
    recorded.then(() => {
      audience.opened(openedJob(id, targets, leftOut));
      begun.resolve();
    }, begun.reject);
    running.set(id, job);
    void job.done
      .then(() => {
        const view = record.view(Date.now());
        if (view.results.some(({ outcome }) => outcome === 'unknown')) onUnknown(view);
      })
      .catch((error: unknown) =>
        log.error('a job was not recorded and did not run', { job: id, problem: String(error) }),
      )
      .finally(() => running.delete(id));
    await begun.promise;
    return job;
  }

  function openedJob(id: string, targets: readonly Member[], leftOut: readonly Member[]): JobOpened {
    return {
      job: id,
      targets: targets.map((member) => ({ node: member.name, id: member.id })),
      leftOut: leftOut.map((member) => ({
        ...{ node: member.name, id: member.id },
        ...{ state: fleet.state(member), drained: member.drained },
      })),
    };
  }

  async function endAll(by: string, reason: string | null): Promise<void> {
    await Promise.allSettled(
      [...running.values()].map(async (job) => {
        await job.cancel(by, reason);
        await job.done;
      }),
    );
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
    runningOn: (nodeId) => [...running.values()].filter((job) => job.runsOn(nodeId)).length,
    endAll,
    list: (limit) => store.jobs(limit),
    async view(id) {
      const found = await store.job(id);
      if (found === null) throw noSuchJob(id);
      return found;
    },
    async close() {
      closing = true;
      await endAll('the hub, which stops', null);
    },
  };
}

/** What is recorded of a part that has no end yet: if the hub dies now, it may have run. */
function underWay(member: Member): Result {
  const { hashes: _, ...nothing } = withoutRun('unknown', 'no end is known');
  return { node: member.name, id: member.id, invocation: createId(), ...nothing };
}

function noSuchJob(id: string): FederationError {
  return new FederationError('JOB_NOT_FOUND', `no job ${JSON.stringify(id)}`, { hint: 'manage-federation jobs' });
}
