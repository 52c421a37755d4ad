import { parse } from 'yaml';
import type { Home } from '#src/adapters/home.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Settings } from '#src/core/settings.ts';
import { resolveSettings } from '#src/core/settings.ts';

export const SETTINGS_FILE = 'settings.yaml';

/** Settings of this home. Throws SETTINGS_INVALID with every problem and its path. */
export async function loadSettings(home: Home, flags: object, environment = process.env): Promise<Settings> {
  const result = resolveSettings({
    flags,
    environment,
    file: parseSettings(home.file(SETTINGS_FILE), (await home.read(SETTINGS_FILE)) ?? ''),
    parseValue: (text) => parseYaml(text) ?? text,
  });
  if (result.ok) return result.settings;
  const path = home.file(SETTINGS_FILE);
  throw invalid(`the flag, the environment or ${path}`, result.problems.join('; '));
}

function parseSettings(path: string, text: string): unknown {
  const settings = readYaml(path, text) ?? {};
  // Merged with the environment, anything else would vanish without a word.
  if (typeof settings !== 'object' || Array.isArray(settings)) throw invalid(path, 'the file holds no map of settings');
  return settings;
}

function readYaml(path: string, text: string): unknown {
  try {
    return parseYaml(text);
  } catch (cause) {
    const [firstLine] = (cause as Error).message.split('\n');
    throw invalid(path, firstLine ?? 'not YAML');
  }
}

/** Aliases are refused: a small file must not become a large value. */
export function parseYaml(text: string): unknown {
  return parse(text, { maxAliasCount: 0, prettyErrors: true, strict: true }) as unknown;
}

function invalid(place: string, problem: string): FederationError {
  return new FederationError('SETTINGS_INVALID', `settings: ${problem}`, { hint: `mend ${place}` });
}
