import { cp, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** Our package, and our plugin as a release lays it out beside what it needs: compiled, and declaring no needs. */
export interface PluginPackage {
  /** Folder of the plugin. */
  readonly path: string;
  /** Folder of the whole package. */
  readonly whole: string;
  remove(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PLUGIN = ['dist', 'skills', 'openclaw.plugin.json'];

/** The installed package where one is under test, else what this checkout compiles to now. */
export async function pluginPackage(): Promise<PluginPackage> {
  const bin = process.env['OPENCLAW_FEDERATION_BIN'];
  if (bin !== undefined) {
    const command = await realpath(join(bin, 'manage-federation'));
    const whole = dirname(dirname(command));
    return { path: whole, whole, remove: async () => undefined };
  }
  const whole = await mkdtemp(join(tmpdir(), 'ocf-plugin-'));
  await compileTo(whole);
  await symlink(join(ROOT, 'node_modules'), join(whole, 'node_modules'));
  const path = join(whole, 'plugin');
  await layPlugin(whole, path);
  return { path, whole, remove: () => rm(whole, { recursive: true, force: true }) };
}

async function compileTo(path: string): Promise<void> {
  const compiler = join(ROOT, 'node_modules/.bin/tsc');
  await execa(compiler, ['-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--outDir', join(path, 'dist')]);
  const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  for (const file of ['package.json', ...files.filter((name) => name !== 'dist')]) {
    await cp(join(ROOT, file), join(path, file), { recursive: true });
  }
}

/** Lays the plugin of the package in `from` out in `to`, as a release has it: it finds what it needs beside it. */
export async function layPlugin(from: string, to: string): Promise<void> {
  for (const name of PLUGIN) await cp(join(from, name), join(to, name), { recursive: true });
  const whole = JSON.parse(await readFile(join(from, 'package.json'), 'utf8')) as Record<string, unknown>;
  const kept = ['name', 'version', 'type', 'imports', 'openclaw'].map((key) => [key, whole[key]]);
  await writeFile(join(to, 'package.json'), JSON.stringify(Object.fromEntries(kept)));
}
