import type { Home } from '#src/adapters/home.ts';
import { SETTINGS_FILE } from '#src/adapters/settings-file.ts';
import type { SettingsDocument } from '#src/deploy/settings-document.ts';
import { settingsDocument } from '#src/deploy/settings-document.ts';

/** The settings of a home of this process. */
export interface HomeSettings extends Omit<SettingsDocument, 'text'> {
  save(): Promise<void>;
}

/** Throws SETTINGS_INVALID for a file that is no map. */
export async function openHomeSettings(home: Home): Promise<HomeSettings> {
  const before = (await home.read(SETTINGS_FILE)) ?? '';
  const { get, set, text } = settingsDocument(home.file(SETTINGS_FILE), before);
  return {
    get,
    set,
    async save() {
      if (text() !== before) await home.write(SETTINGS_FILE, text());
    },
  };
}
