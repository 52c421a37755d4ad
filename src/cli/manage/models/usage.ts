import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson, printTable } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ModelUsage } from '#src/protocol/model-keys.ts';

export interface UsageFlags extends GlobalFlags {
  readonly by: 'key' | 'node' | 'model';
  readonly since: string;
}

/** How long the hub keeps it. */
const MAX_DAYS = 400;

/** `manage-federation models usage` */
export async function showUsage(flags: UsageFlags): Promise<number> {
  const by = flags.by === 'key' ? 'consumer' : flags.by;
  const usage = await (await hubOf(flags)).ask<ModelUsage>('GET', `/models/usage?by=${by}&days=${daysOf(flags.since)}`);
  if (flags.json === true) printJson(usage);
  else if (usage.rows.length === 0) say(`no model was used since ${usage.since}`);
  else {
    printTable(
      [HEADS[by], 'REQUESTS', 'FAILED', 'ABORTED', 'TOKENS IN', 'CACHED', 'TOKENS OUT', 'FIRST BYTE', 'LAST DAY'],
      usage.rows.map((row) => [
        row.kind === null || row.kind === 'key' ? row.name : `${row.name} (${row.kind})`,
        String(row.requests),
        String(row.failed),
        String(row.aborted),
        String(row.tokens.input),
        String(row.tokens.cached),
        `${row.tokens.output}${row.untold > 0 ? '+' : ''}`,
        row.firstByteMs === null ? '-' : `${row.firstByteMs} ms`,
        row.lastDay,
      ]),
    );
    const untold = usage.rows.reduce((sum, row) => sum + row.untold, 0);
    if (untold > 0) say(`+ of ${untold} answers no upstream said what they took; days are those of UTC`);
  }
  return 0;
}

const HEADS = { consumer: 'WHO', node: 'NODE', model: 'MODEL' } as const;

/** `7d` and `24h` are days of UTC that end today; a date is its day and those after it. */
function daysOf(since: string): number {
  const [, count, unit] = /^(\d{1,4})(d|h)$/.exec(since) ?? [];
  if (count !== undefined) return inRange(unit === 'h' ? Math.ceil(Number(count) / 24) + 1 : Number(count), since);
  const date = /^\d{4}-\d\d-\d\d$/.test(since) ? Date.parse(since) : Number.NaN;
  if (Number.isNaN(date)) {
    throw new FederationError('USAGE', `--since: ${JSON.stringify(since)} is no time and no date`, {
      hint: '--since 7d',
    });
  }
  return inRange(Math.floor(Date.now() / 86_400_000) - Math.floor(date / 86_400_000) + 1, since);
}

function inRange(days: number, since: string): number {
  if (days >= 1 && days <= MAX_DAYS) return days;
  throw new FederationError('USAGE', `--since: ${since} is not within the last ${MAX_DAYS} days`, {
    hint: `--since ${MAX_DAYS}d`,
  });
}
