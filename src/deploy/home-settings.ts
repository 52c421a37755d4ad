import { isMap, parseDocument } from 'yaml';
import type { Home } from '#src/adapters/home.ts';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';
import { FederationError } from '#src/core/errors.ts';

/** The settings file of a home, changed key by key: whatever else a person wrote there stays, comments too. */
export interface HomeSettings {
  /** The value at a dotted path; undefined where the file has none. */
  get(path: string): unknown;
  /** Undefined leaves what is there. */
  set(path: string, value: unknown): void;
  save(): Promise<void>;
}

/** Throws SETTINGS_INVALID for a file that is no map. */
export async function openHomeSettings(home: Home): Promise<HomeSettings> {
  const before = (await home.read(SETTINGS_FILE)) ?? '';
  const document = parseDocument(before, { strict: true });
  const { contents } = document;
  if (document.errors.length > 0 || (contents !== null && !isMap(contents))) {
    const path = home.file(SETTINGS_FILE);
    throw new FederationError('SETTINGS_INVALID', `${path} is no YAML map`, { hint: `mend it, or move it away` });
  }
  return {
    get: (path) => document.getIn(path.split('.')),
    set(path, value) {
      if (value !== undefined) document.setIn(path.split('.'), document.createNode(value));
    },
    async save() {
      const text = document.toString({ lineWidth: 0 });
      if (text !== before) await home.write(SETTINGS_FILE, text);
    },
  };
}
