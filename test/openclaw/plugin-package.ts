import { cp, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildPackage } from '../support/built-package.ts';

/** Our package, and a copy of the plugin in it, as a release lays it out. */
export interface PluginPackage {
  /** Folder of the plugin. */
  readonly path: string;
  /** Folder of the whole package. */
  readonly whole: string;
  remove(): Promise<void>;
}

/** The plugin of the installed package where one is under test, else of what this checkout compiles to now. */
export async function pluginPackage(): Promise<PluginPackage> {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-plugin-'));
  const whole = (await installedPackage()) ?? (await built(join(folder, 'package')));
  const path = join(folder, 'plugin');
  // Tests change it.
  await cp(join(whole, 'plugin'), path, { recursive: true });
  return { path, whole, remove: () => rm(folder, { recursive: true, force: true }) };
}

async function installedPackage(): Promise<string | null> {
  const bin = process.env['OPENCLAW_FEDERATION_BIN'];
  return bin === undefined ? null : dirname(dirname(await realpath(join(bin, 'manage-federation'))));
}

async function built(path: string): Promise<string> {
  await buildPackage(path);
  return path;
}
