import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

/** Our package as OpenClaw finds a plugin in it: compiled, with its manifest and skills. */
export interface PluginPackage {
  readonly path: string;
  remove(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The installed package where one is under test, else what this checkout compiles to now. */
export async function pluginPackage(): Promise<PluginPackage> {
  const bin = process.env['OPENCLAW_FEDERATION_BIN'];
  if (bin !== undefined) {
    const command = await realpath(join(bin, 'manage-federation'));
    return { path: dirname(dirname(command)), remove: async () => undefined };
  }
  const path = await mkdtemp(join(tmpdir(), 'ocf-plugin-'));
  await compileTo(path);
  await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

async function compileTo(path: string): Promise<void> {
  const compiler = join(ROOT, 'node_modules/.bin/tsc');
  await execa(compiler, ['-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--outDir', join(path, 'dist')]);
  const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  await mkdir(path, { recursive: true });
  for (const file of ['package.json', ...files.filter((name) => name !== 'dist')]) {
    await cp(join(ROOT, file), join(path, file), { recursive: true });
  }
}
