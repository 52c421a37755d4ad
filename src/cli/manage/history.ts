import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { ago, localTime, printJson, printTable, shortId } from '#src/cli/print.ts';
import { summaryText } from '#src/cli/manage/summary.ts';
import type { AuditVerdict, AuditView, JobView } from '#src/protocol/hub-api.ts';

export interface HistoryFlags extends GlobalFlags {
  readonly limit: number;
}

/** `manage-federation jobs` */
export async function listJobs(flags: HistoryFlags): Promise<number> {
  const jobs = await (await hubOf(flags)).ask<JobView[]>('GET', `/jobs?limit=${flags.limit}`);
  if (flags.json) printJson(jobs);
  else if (jobs.length === 0) say('no jobs yet; try: manage-federation broadcast -- uptime');
  else {
    printTable(
      ['JOB', 'STARTED', 'BY', 'COMMAND', 'RESULT'],
      jobs.map((job) => [
        shortId(job.job),
        ago(job.startedAt),
        job.by,
        job.command,
        job.endedAt === null ? 'running' : summaryText(job.summary),
      ]),
    );
  }
  return 0;
}

/** `manage-federation audit` */
export async function listAudit(flags: HistoryFlags): Promise<number> {
  const records = await (await hubOf(flags)).ask<AuditView[]>('GET', `/audit?limit=${flags.limit}`);
  if (flags.json) printJson(records);
  else {
    printTable(
      ['SEQ', 'TIME', 'ACTION', 'BY', 'DETAIL'],
      records.map(({ seq, at, action, by, detail }) => [
        String(seq),
        localTime(at),
        action,
        by,
        JSON.stringify(detail).replace(/\b[0-9a-f]{64}\b/g, shortId),
      ]),
    );
  }
  return 0;
}

/** `manage-federation audit verify` */
export async function verifyAudit(flags: GlobalFlags): Promise<number> {
  const verdict = await (await hubOf(flags)).ask<AuditVerdict>('GET', '/audit/verdict');
  if (flags.json) printJson(verdict);
  else process.stdout.write(`${verdictText(verdict)}\n`);
  return verdict.whole ? 0 : 1;
}

function verdictText({ records, fault }: AuditVerdict): string {
  if (fault === null) return `the audit is whole: ${records} records`;
  return `the audit is broken: record ${fault.seq} ${fault.problem}`;
}
