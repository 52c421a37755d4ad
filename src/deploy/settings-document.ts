import { isMap, parseDocument } from 'yaml';
import { FederationError } from '#src/core/errors.ts';

/** A settings file that is changed key by key: whatever else a person wrote there stays, comments too. */
export interface SettingsDocument {
  /** The value at a dotted path; undefined where the file has none. */
  get(path: string): unknown;
  /** Null takes away what is there, undefined leaves it. */
  set(path: string, value: unknown): void;
  text(): string;
}

/** `path` is for the message. Throws SETTINGS_INVALID for a text that is no map. */
export function settingsDocument(path: string, text: string): SettingsDocument {
  const document = parseDocument(text, { strict: true });
  const { contents } = document;
  if (document.errors.length > 0 || (contents !== null && !isMap(contents))) throw invalidSettings(path, NO_MAP);
  return {
    get: (dotted) => document.getIn(dotted.split('.')),
    set(dotted, value) {
      const keys = dotted.split('.');
      if (value === undefined) return;
      if (value !== null) document.setIn(keys, document.createNode(value));
      else if (document.hasIn(keys)) document.deleteIn(keys);
    },
    text: () => document.toString({ lineWidth: 0 }),
  };
}

const NO_MAP = 'it is no YAML map';

export function invalidSettings(path: string, problem: string): FederationError {
  return new FederationError('SETTINGS_INVALID', `the settings in ${path} can’t be used: ${problem}`, {
    hint: `mend ${path}, or move it away`,
  });
}
