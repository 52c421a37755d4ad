import { isMap, parseDocument } from 'yaml';
import type { Action, Owner } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { readSettings } from '#src/deploy/doctor/settings.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';

/** A settings file that says these things, by dotted path; what else a person wrote into it stays, comments too. */
export function settingsFile(
  facts: Facts,
  path: string,
  owner: Owner,
  values: Readonly<Record<string, unknown>>,
): Action {
  const text = withValues(path, fileIn(facts, path)?.text ?? '', values);
  return { do: 'write', path, mode: 0o600, owner, text };
}

function withValues(path: string, text: string, values: Readonly<Record<string, unknown>>): string {
  const document = parseDocument(text, { strict: true });
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents))) {
    throw invalid(path, 'it is no YAML map');
  }
  // The daemon would not start with them.
  const { problems } = readSettings(text);
  if (problems.length > 0) throw invalid(path, problems.join('; '));
  for (const [dotted, value] of Object.entries(values)) {
    const keys = dotted.split('.');
    if (value !== null) document.setIn(keys, document.createNode(value));
    else if (document.hasIn(keys)) document.deleteIn(keys);
  }
  return document.toString({ lineWidth: 0 });
}

function invalid(path: string, problem: string): FederationError {
  return new FederationError('SETTINGS_INVALID', `the settings in ${path} can’t be used: ${problem}`, {
    hint: `mend ${path}, or move it away`,
  });
}
