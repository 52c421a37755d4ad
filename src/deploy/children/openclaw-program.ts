import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FederationError } from '#src/core/errors.ts';

/** The openclaw program: the named one, the one installed beside this package, or that on PATH. Throws OPENCLAW_MISSING. */
export async function findOpenClaw(named: string | undefined, path = process.env['PATH'] ?? ''): Promise<string> {
  const places =
    named === undefined
      ? [fileURLToPath(new URL('../../../node_modules/.bin', import.meta.url)), ...path.split(delimiter)].map(
          (folder) => join(folder, 'openclaw'),
        )
      : named.includes('/') || isAbsolute(named)
        ? [resolve(named)]
        : path.split(delimiter).map((folder) => join(folder, named));
  for (const place of places) {
    if (
      await access(place, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return place;
  }
  throw new FederationError('OPENCLAW_MISSING', `there is no program ${named ?? 'openclaw'}`, {
    hint: 'npm install -g openclaw, or go without it: --no-openclaw',
  });
}
