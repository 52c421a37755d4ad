import { createHash } from 'node:crypto';
import type { Change } from '#src/adapters/store/store.ts';
import type { Member } from '#src/core/member.ts';
import { summarize } from '#src/core/outcome.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import { scrub } from '#src/core/secrets.ts';
import { commandText } from '#src/hub/jobs/command-text.ts';
import type { Ended } from '#src/hub/jobs/invocation.ts';
import type { JobRequest } from '#src/hub/jobs/jobs.ts';
import type { JobView, Result } from '#src/protocol/hub-api.ts';

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

export function jobRecord(
  id: string,
  request: JobRequest,
  asker: Asker,
  targets: readonly Member[],
  results: Result[],
): JobRecord {
  const startedAt = Date.now();
  const text = commandText(request.command);
  const command = scrub(text);
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
        command,
        // Of the text before anything was cut from it: what ran can be proved, and a secret can't be read from it.
        sha256: createHash('sha256').update(text).digest('hex'),
        cwd: request.command.cwd ?? null,
        // Names only: a value may well be a secret.
        env: Object.keys(request.command.env),
        targets: targets.map((member) => ({ node: member.name, id: member.id })),
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
