import type { Action, Owner } from '#src/deploy/action.ts';
import { readSettings } from '#src/deploy/doctor/settings.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { invalidSettings, settingsDocument } from '#src/deploy/settings-document.ts';

/** A settings file that says these things, by dotted path; null is not said any more. */
export function settingsFile(
  facts: Facts,
  path: string,
  owner: Owner,
  values: Readonly<Record<string, unknown>>,
): Action {
  const text = fileIn(facts, path)?.text ?? '';
  const settings = settingsDocument(path, text);
  // The daemon would not start with them.
  const { problems } = readSettings(text);
  if (problems.length > 0) throw invalidSettings(path, problems.join('; '));
  for (const [dotted, value] of Object.entries(values)) settings.set(dotted, value);
  return { do: 'write', path, mode: 0o600, owner, text: settings.text() };
}
