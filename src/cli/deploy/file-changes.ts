import type { Action, Plan } from '#src/deploy/action.ts';
import { isOursBy } from '#src/deploy/apply.ts';
import { changeText } from '#src/deploy/change.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';

/**
 * The diffs of all files that a plan changes and that somebody else wrote, or changed since, and of settings, whoever
 * wrote them: no secret is in them.
 */
export function fileChanges({ steps }: Plan, facts: Facts): FileChange[] {
  return steps.flatMap(({ actions }) => actions.flatMap((action) => changeOf(action, facts)));
}

export interface FileChange {
  readonly path: string;
  /** Unified. */
  readonly diff: string;
}

/** The same for a terminal. */
export function fileChangeLines(plan: Plan, facts: Facts): string[] {
  return fileChanges(plan, facts).flatMap(({ diff }) => diff.split('\n').slice(0, -1));
}

function changeOf(action: Action, facts: Facts): FileChange[] {
  if (action.do !== 'write' && action.do !== 'merge') return [];
  const { path } = action;
  const text = fileIn(facts, path)?.text ?? null;
  const wrote =
    facts.record?.entries.find((entry) => 'path' in entry.action && entry.action.path === path)?.wrote ?? [];
  const isSettings = [facts.place.workerSettings, facts.place.hubSettings].includes(path);
  if (text === null || (isOursBy(wrote)(text) && !isSettings)) return [];
  const diff = changeText(action, text);
  return diff === '' ? [] : [{ path, diff }];
}
