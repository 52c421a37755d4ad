import { parse } from 'yaml';
import type { Settings } from '#src/core/settings.ts';
import { resolveSettings } from '#src/core/settings.ts';

export interface SettingsReading {
  /** Null where they can't be used. */
  readonly settings: Settings | null;
  readonly problems: readonly string[];
}

/** A settings file as a daemon of this version reads it, without any environment. */
export function readSettings(text: string): SettingsReading {
  const file = yaml(text);
  if (file instanceof Error) return { settings: null, problems: [file.message.split('\n', 1)[0] ?? 'not YAML'] };
  const result = resolveSettings({ flags: {}, environment: {}, file, parseValue: (value) => value });
  return result.ok ? { settings: result.settings, problems: [] } : { settings: null, problems: result.problems };
}

/** Aliases are refused, as the daemons do: a small file must not become a large value. */
function yaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0, strict: true, logLevel: 'error' }) as unknown;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
