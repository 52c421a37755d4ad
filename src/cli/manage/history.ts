import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { ago, localTime, printJson, printTable, shortId } from '#src/cli/print.ts';
import { summaryText } from '#src/core/result-text.ts';
import type { AuditVerdict, AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';

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
      records.map(({ seq, at, action, by, detail }) => [String(seq), localTime(at), action, by, detailText(detail)]),
    );
  }
  return 0;
}

/** `node pi, id 896f38500352, expires at 2026-11-21T13:51:08`; what is empty or not known is left out. */
export function detailText(detail: Readonly<Record<string, unknown>>): string {
  return Object.entries(detail)
    .map(([key, value]) => [wordsOf(key), valueText(key, value)] as const)
    .filter(([, text]) => text !== '')
    .map(([words, text]) => `${words} ${text}`)
    .join(', ');
}

/** `expiresAt` is read as two words. */
function wordsOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function valueText(key: string, value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' && key.endsWith('At')) return localTime(new Date(value).toISOString());
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map((one) => valueText(key, one)).join(' ');
  if (typeof value === 'object') {
    return Object.entries(value)
      .map(([name, one]) => `${name}=${valueText(name, one)}`)
      .join(' ');
  }
  return (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\b[0-9a-f]{64}\b/g, shortId);
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
