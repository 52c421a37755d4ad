import { join } from 'node:path';
import type { RunWork } from '#src/core/handoff/runner.ts';
import type { RecordedOrder } from '#src/worker/handoffs/record.ts';

/** What an agent is told of a handoff: the task as it is, and behind it what else it has to know. `folder`: that of the handoff. */
export function briefing(
  { task, context, files }: Pick<RecordedOrder, 'task' | 'context' | 'files'>,
  folder: string,
): string {
  const inFolder = join(folder, 'in');
  const given = files.map(({ name, size }) => `- ${join(inFolder, name)} (${size} bytes)`);
  return [
    task,
    ...(context === '' ? [] : [`What you should know beside it:\n${context}`]),
    ...(given.length === 0 ? [] : [`Files that come with it:\n${given.join('\n')}`]),
    `Your answer goes back to whoever gave you this task from another machine. Files that belong to it: put them into ${join(folder, 'out')}, and nothing else there.`,
  ].join('\n\n');
}

/** The same in parts, for an agent that sees no file of this machine. */
export function workOf(
  { task, context, files }: Pick<RecordedOrder, 'task' | 'context' | 'files'>,
  folder: string,
): RunWork {
  const given = files.map(({ name }) => ({ name, path: join(folder, 'in', name) }));
  return { task, context, files: given, out: join(folder, 'out') };
}
