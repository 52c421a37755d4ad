import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** The gateway in TypeScript that people know, beside which ours is measured. */
export const PORTKEY = '@portkey-ai/gateway';
const VERSION = '1.15.2';
/** With what npm picks by itself it answers every stream with 500: these are the last that go together. */
const OVERRIDES = { hono: '4.9.7', '@hono/node-server': '1.13.8' };

/** Puts it into a folder below `folder`. Resolves with its program; null where there is no way to a registry. */
export async function installPortkey(folder: string, signal: AbortSignal): Promise<string | null> {
  const path = join(folder, 'portkey');
  await mkdir(path);
  const manifest = { private: true, dependencies: { [PORTKEY]: VERSION }, overrides: OVERRIDES };
  await writeFile(join(path, 'package.json'), JSON.stringify(manifest));
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  const { failed } = await execa('npm', ['install', ...flags], {
    ...{ cwd: path, reject: false, timeout: 60_000, cancelSignal: signal, stdio: 'ignore' },
  });
  return failed ? null : join(path, 'node_modules', PORTKEY, 'build/start-server.js');
}
