import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildPackage } from '../support/built-package.ts';

/** Our package, and our plugin as a release lays it out: one file that declares no needs. */
export interface PluginPackage {
  /** Folder of the plugin. */
  readonly path: string;
  /** Folder of the whole package. */
  readonly whole: string;
  remove(): Promise<void>;
}

const PLUGIN = ['plugin', 'skills', 'openclaw.plugin.json'];

/** The plugin of the installed package where one is under test, else of what this checkout compiles to now. */
export async function pluginPackage(): Promise<PluginPackage> {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-plugin-'));
  const whole = (await installedPackage()) ?? (await built(join(folder, 'package')));
  const path = join(folder, 'plugin');
  await layPlugin(whole, path);
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

/** Lays the plugin of the package in `from` out in `to`, as a release has it. */
export async function layPlugin(from: string, to: string): Promise<void> {
  for (const name of PLUGIN) await cp(join(from, name), join(to, name), { recursive: true });
  const whole = JSON.parse(await readFile(join(from, 'package.json'), 'utf8')) as Record<string, unknown>;
  const kept = ['name', 'version', 'type', 'openclaw'].map((key) => [key, whole[key]]);
  await writeFile(join(to, 'package.json'), JSON.stringify(Object.fromEntries(kept)));
}
