import type { Change } from '#src/adapters/store/store.ts';
import type { Member } from '#src/core/member.ts';
import { summarize } from '#src/core/outcome.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText, consent } from '#src/core/policy.ts';
import { scrub } from '#src/core/secrets.ts';
import { actionDetail, askerDetail } from '#src/hub/approvals/action-detail.ts';
import type { Permit } from '#src/hub/approvals/permits.ts';
import { commandText } from '#src/hub/jobs/command-text.ts';
import type { Ended } from '#src/hub/jobs/invocation.ts';
import type { JobRequest } from '#src/hub/jobs/jobs.ts';
import type { JobView, Result } from '#src/protocol/hub-api/job.ts';

/** What of a job becomes durable: its row, and a record of the audit before and after. */
export interface JobRecord {
  readonly results: Result[];
  /** SHA-256 of the output of each part. */
  readonly hashes: Ended['hashes'][];
  view(endedAt: number | null): JobView;
  /** To be kept before anything is sent. */
  started(): Change[];
  cancelled(by: string): Change[];
  ended(endedAt: number): Change[];
}

export interface JobRecordOptions {
  readonly id: string;
  readonly request: JobRequest;
  readonly asker: Asker;
  readonly targets: readonly Member[];
  readonly permit: Permit;
  readonly results: Result[];
}

export function jobRecord({ id, request, asker, targets, permit, results }: JobRecordOptions): JobRecord {
  const startedAt = Date.now();
  const command = scrub(commandText(request.command));
  const { approval } = permit;
  const hashes: Ended['hashes'][] = [];

  const audit = (action: string, at: number, detail: Readonly<Record<string, unknown>>): Change => ({
    type: 'audit',
    entry: { at, action, by: askerText(asker), detail: { job: id, ...detail } },
  });

  function view(endedAt: number | null): JobView {
    return {
      job: id,
      kind: request.kind,
      by: askerText(asker),
      ...askerDetail(asker),
      ...(approval === null ? {} : { approvedBy: approval.by }),
      command,
      startedAt: new Date(startedAt).toISOString(),
      endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
      summary: summarize(results),
      results,
    };
  }

  return {
    results,
    hashes,
    view,
    started: () => [
      { type: 'job', id, value: view(null) },
      audit('job.start', startedAt, {
        kind: request.kind,
        ...askerDetail(asker),
        ...actionDetail({ kind: 'exec', command: request.command }),
        approval,
        targets: targets.map(({ name, id: node, role }) => ({ node: name, id: node, rule: consent(asker, role).rule })),
      }),
    ],
    cancelled: (by) => [audit('job.cancel', Date.now(), { by })],
    ended: (endedAt) => [
      { type: 'job', id, value: view(endedAt) },
      audit('job.end', endedAt, {
        summary: summarize(results),
        results: results.map(({ node, outcome, exitCode }, at) => ({ node, outcome, exitCode, sha256: hashes[at] })),
      }),
    ],
  };
}
