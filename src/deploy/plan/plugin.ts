import type { Action } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { folderIn } from '#src/deploy/facts.ts';
import type { Place } from '#src/deploy/place.ts';
import { listAt, valueAt } from '#src/deploy/settings-value.ts';

/** Our plugin as OpenClaw names it. */
const PLUGIN = 'openclaw-federation';
const PATHS = 'plugins.load.paths';
const ALLOW = 'plugins.allow';
const ENABLED = `plugins.entries.${PLUGIN}.enabled`;

/** What the gateway's settings have to say so that it loads our plugin, from where the release that runs is. */
export function pluginValues(settings: unknown, { place }: Facts): Record<string, unknown> {
  const allowed = listAt(settings, ALLOW);
  return {
    [PATHS]: listWith(listAt(settings, PATHS) ?? [], place.plugin),
    // Who has one names there all the plugins that may be loaded.
    ...(allowed === null ? {} : { [ALLOW]: listWith(allowed, PLUGIN) }),
    ...(valueAt(settings, ENABLED) === undefined ? { [ENABLED]: true } : {}),
  };
}

/** OpenClaw makes it for the first plugin that has skills, and leaves it behind with links that lead nowhere. */
export function pluginSkillsFolder(facts: Facts): Action {
  const path = facts.place.openclawPluginSkills;
  return { do: 'folder', path, mode: folderIn(facts, path)?.mode ?? 0o700, owner: 'person' };
}

/** Where a person does not want it, that is theirs to say. */
export function pluginNotes(settings: unknown): string[] {
  const off = pluginOff(settings);
  return off === null ? [] : [`the gateway does not load our plugin (${off}), so no chat reaches the machines`];
}

/** What in the gateway's settings keeps our plugin off, as `key: value`; null: nothing. */
export function pluginOff(settings: unknown): string | null {
  for (const key of ['plugins.enabled', ENABLED]) if (valueAt(settings, key) === false) return `${key}: false`;
  return listAt(settings, 'plugins.deny')?.includes(PLUGIN) === true ? `plugins.deny: ${PLUGIN}` : null;
}

/** Whether the gateway's settings tell it where our plugin is. */
export function loadsPlugin(settings: unknown, { plugin }: Place): boolean {
  return listAt(settings, PATHS)?.includes(plugin) === true;
}

function listWith(list: readonly unknown[], item: string): readonly unknown[] {
  return list.includes(item) ? list : [...list, item];
}
