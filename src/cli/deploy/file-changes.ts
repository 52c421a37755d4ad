import type { Action, Plan } from '#src/deploy/action.ts';
import { isOursBy } from '#src/deploy/apply.ts';
import { changeText } from '#src/deploy/change.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';

/**
 * The diffs of all files that a plan changes and that somebody else wrote, or changed since, and of settings, whoever
 * wrote them: no secret is in them.
 */
export function fileChanges({ steps }: Plan, facts: Facts): string[] {
  return steps.flatMap(({ actions }) => actions.flatMap((action) => changeLines(action, facts)));
}

function changeLines(action: Action, facts: Facts): string[] {
  if (action.do !== 'write' && action.do !== 'merge') return [];
  const { path } = action;
  const text = fileIn(facts, path)?.text ?? null;
  const wrote =
    facts.record?.entries.find((entry) => 'path' in entry.action && entry.action.path === path)?.wrote ?? [];
  const isSettings = [facts.place.workerSettings, facts.place.hubSettings].includes(path);
  if (text === null || (isOursBy(wrote)(text) && !isSettings)) return [];
  return changeText(action, text).split('\n').slice(0, -1);
}
