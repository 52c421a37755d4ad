import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shellWord } from '#src/core/shell-word.ts';

export type Launcher = 'deploy-federation' | 'manage-federation' | 'federation-worker' | 'federation-hub';

/** How a person here can call one of our commands: by its name where that means this package, else by its path. */
export function launcher(name: Launcher): string {
  const own = fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  return onPath !== undefined && realpathSync(onPath) === realpathSync(own) ? name : shellWord(own);
}
