import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { resultText } from '#src/core/result-text.ts';
import type { Answer } from '#src/plugin/call.ts';
import { clusterTool } from '#src/plugin/call.ts';
import { runJob } from '#src/plugin/job.ts';
import { keptOutput } from '#src/plugin/kept-output.ts';
import { oneLine, quoted } from '#src/plugin/quoted.ts';
import { commandOf, commandParameters, EXEC_SECONDS, jobOf } from '#src/plugin/tools/command.ts';
import { nodeParameter } from '#src/plugin/tools/node-parameter.ts';
import type { Result } from '#src/protocol/hub-api/job.ts';

/** Bytes of each stream that the agent is given: more would fill its context with what it has to skip. */
const KEPT_BYTES = 48 * 1024;

export const clusterExec = clusterTool({
  name: 'cluster_exec',
  label: 'Run a command on a machine',
  description:
    'Run a shell command on another machine of the user (home server, VPS, laptop, GPU box, Raspberry Pi) that is a ' +
    'node of the federation: check disk, memory, services, logs, run scripts there. Returns its output, with | before each line, and how it ended.',
  parameters: z.strictObject({ node: nodeParameter, ...commandParameters(EXEC_SECONDS) }),
  wish: (said) => ({ targets: [said.node], action: { kind: 'exec', command: commandOf(said) } }),
  async run(said, { hub, approved, signal, progress }) {
    const kept = { stdout: keptOutput(KEPT_BYTES), stderr: keptOutput(KEPT_BYTES) };
    const finished = await runJob(
      hub,
      jobOf('exec', [said.node], said, approved),
      {
        output(_, stream, bytes) {
          kept[stream].push(bytes);
          progress(() => `${said.node}: ${kept[stream].lastLine()}`);
        },
        ended: () => undefined,
      },
      signal,
    );
    const [result, ...others] = finished.results;
    if (result === undefined) throw new FederationError('NOTHING_MATCHED', `${said.node} names no machine`);
    if (others.length > 0) throw severalRan(finished.results);
    return answer(finished.opened.job, result, kept.stdout.text(), kept.stderr.text());
  },
});

/** What has not run, or of which nobody knows, is a failure of the call and never an answer. */
const NO_ANSWER: ReadonlySet<string> = new Set(['unreachable', 'unknown', 'skipped', 'denied', 'cancelled']);

/** Their outputs are one by now. */
function severalRan(results: readonly Result[]): FederationError {
  const each = results.map((result) => oneLine(`${result.node}: ${resultText(result)}`)).join('; ');
  return new FederationError('TOOL_FAILED', `it ran on ${results.length} machines instead of one: ${each}`);
}

function answer(job: string, result: Result, stdout: string, stderr: string): Answer {
  const ending = oneLine(`${result.node} (${result.id.slice(0, 12)}): ${resultText(result)}`);
  const parts = [
    `${ending}, ${(result.durationMs / 1000).toFixed(1)} s`,
    ...(stdout === '' ? [] : [quoted(stdout)]),
    ...(stderr === '' ? [] : [`on standard error:\n${quoted(stderr)}`]),
    ...(result.truncated ? ['[some of the output was lost on its way]'] : []),
    ...(stdout === '' && stderr === '' ? ['it printed nothing'] : []),
  ];
  if (NO_ANSWER.has(result.outcome)) {
    throw new FederationError(
      'TOOL_FAILED',
      [ending, ...(stdout === '' ? [] : [`so far:\n${quoted(stdout)}`])].join('\n'),
    );
  }
  const { node, id, outcome, exitCode, signal, replayed } = result;
  return { text: parts.join('\n'), details: { job, result: { node, id, outcome, exitCode, signal, replayed } } };
}
