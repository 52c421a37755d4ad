import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { handoffId, placeText, standingText } from '#src/cli/manage/handoff/words.ts';
import { localTime, printFacts, printJson } from '#src/cli/print.ts';
import { harmless } from '#src/adapters/terminal.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** `manage-federation handoff show ID` */
export async function showHandoff(word: string, flags: GlobalFlags): Promise<number> {
  const id = handoffId(word);
  const view = await (await hubOf(flags)).ask<HandoffView>('GET', `/handoffs/${id}`);
  if (flags.json === true) {
    printJson(view);
    return 0;
  }
  printFacts(factsOf(view));
  const { text } = view;
  if (text === null || text === '') return 0;
  const answer = text.endsWith('\n') ? text : `${text}\n`;
  process.stdout.write(`\n${process.stdout.isTTY ? harmless(answer) : answer}`);
  return 0;
}

function factsOf(view: HandoffView): (readonly [string, string])[] {
  const { id, target, asker, task, attempt, parent, key, seq, usage, artefacts } = view;
  const times = [
    ['handed over', view.createdAt],
    ['begun', view.startedAt],
    ['ended', view.endedAt],
    ['deadline', view.deadline],
  ] as const;
  return [
    ['handoff', id],
    ['state', standingText(view)],
    ['to', placeText(view)],
    ...(placeText(view) === target ? [] : [['named as', target] as const]),
    ['by', asker],
    ['task', task.replaceAll('\n', '⏎')],
    ...times.flatMap(([name, at]) => (at === null ? [] : [[name, localTime(at)] as const])),
    ...(attempt > 1 ? [['attempt', String(attempt)] as const] : []),
    ...(parent === null ? [] : [['part of', parent] as const]),
    ['events', String(seq)],
    ...(usage === null ? [] : [['tokens', `${usage.input} in, ${usage.output} out`] as const]),
    ...artefacts.map(({ name, size, sha256 }) => ['file', `${name} (${size} bytes, sha256 ${sha256})`] as const),
    ['key', key],
  ];
}
