import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { summarize } from '#src/core/outcome.ts';
import { resultText, summaryText } from '#src/core/result-text.ts';
import { clusterTool } from '#src/plugin/call.ts';
import type { FinishedJob } from '#src/plugin/job.ts';
import { runJob } from '#src/plugin/job.ts';
import type { KeptOutput } from '#src/plugin/kept-output.ts';
import { keptOutput } from '#src/plugin/kept-output.ts';
import { oneLine, quoted } from '#src/plugin/quoted.ts';
import { BROADCAST_SECONDS, commandOf, commandParameters, jobOf } from '#src/plugin/tools/command.ts';

/** Bytes over all machines, and the least for each. */
const KEPT_BYTES = 64 * 1024;
const KEPT_EACH = 512;
const KEPT_FEW = 8 * 1024;

export const clusterBroadcast = clusterTool({
  name: 'cluster_broadcast',
  label: 'Run a command on many machines',
  description:
    'Run one shell command on several or all machines of the user (nodes of the federation) at once, for instance uptime ' +
    'everywhere or on all with a label. Returns how it ended on each by name, its output with | before each line, and who was left out.',
  parameters: z.strictObject({
    targets: z
      .array(z.string().min(1).max(384))
      .min(1)
      .max(1000)
      .optional()
      .describe('Names, ids, @group, tags:LABEL or key=value; all online workers and hybrids if not given'),
    ...commandParameters(BROADCAST_SECONDS),
  }),
  wish: (said) => ({ targets: said.targets ?? 'all', action: { kind: 'exec', command: commandOf(said) } }),
  async run(said, { hub, approved, signal, progress }) {
    const kept = new Map<number, KeptOutput>();
    const outputOf = (target: number): KeptOutput => {
      if (!kept.has(target)) kept.set(target, keptOutput(KEPT_FEW));
      return kept.get(target)!;
    };
    const finished = await runJob(
      hub,
      jobOf('broadcast', said.targets ?? 'all', said, approved),
      {
        output: (target, _, bytes) => outputOf(target).push(bytes),
        ended: ({ node, outcome }, left) => progress(() => `${node}: ${outcome}, ${left} left`),
      },
      signal,
    );
    if (finished.results.length === 0) throw new FederationError('NOTHING_MATCHED', 'no machine is online for it');
    return {
      text: answerText(finished, (target) => kept.get(target)?.text() ?? ''),
      details: { job: finished.opened.job, summary: summarize(finished.results) },
    };
  },
});

function answerText(finished: FinishedJob, outputOf: (target: number) => string): string {
  const { results } = finished;
  const room = Math.max(KEPT_EACH, Math.floor(KEPT_BYTES / results.length));
  const parts = results.map((result, target) =>
    [
      oneLine(`${result.node}: ${resultText(result)}`),
      ...[quoted(clipped(outputOf(target), room))].filter((text) => text !== ''),
    ].join('\n'),
  );
  const missing = finished.opened.leftOut.map(
    ({ node, state, drained }) => `${node} (${state}${drained ? ', drained' : ''})`,
  );
  return [
    summaryText(summarize(results)),
    ...parts,
    ...(missing.length === 0 ? [] : [`left out, so nothing ran there: ${missing.join(', ')}`]),
  ].join('\n');
}

function clipped(text: string, room: number): string {
  return text.length <= room
    ? text
    : `${text.slice(0, room)}\n[… ${text.length - room} more characters are left out …]`;
}
