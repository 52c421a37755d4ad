import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import type { SharedServer } from '#src/core/models/share.ts';

const MAX_BYTES = 16_384;
/** What a header can carry. */
const KEY = /^[\x21-\x7e]+$/;

/**
 * The key of a model server, from the file or the variable that its entry names; null where it names none. A relative
 * path is one in `home`. Throws SETTINGS_INVALID, and says nothing of what is in there.
 */
export async function readUpstreamKey(
  { keyFile, keyEnvironment }: Pick<SharedServer, 'keyFile' | 'keyEnvironment'>,
  home: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | null> {
  if (keyEnvironment !== undefined) {
    const key = environment[keyEnvironment]?.trim() ?? '';
    if (KEY.test(key)) return key;
    throw refused(
      key === '' ? `the variable ${keyEnvironment} is not set` : `the variable ${keyEnvironment} holds no key`,
      'set it where the worker daemon is started, or use a key file',
    );
  }
  return keyFile === undefined ? null : await keyIn(pathOf(keyFile, home));
}

function pathOf(file: string, home: string): string {
  return file.startsWith('~/') ? resolve(homedir(), file.slice(2)) : resolve(home, file);
}

async function keyIn(path: string): Promise<string> {
  const handle = await open(path).catch((cause: unknown) => {
    const { code } = cause as NodeJS.ErrnoException;
    throw refused(
      `the key file ${path} can’t be read (${code})`,
      `put the key there: install -m 600 /dev/stdin ${path}`,
    );
  });
  try {
    const found = await handle.stat();
    if (!found.isFile() || found.size > MAX_BYTES)
      throw refused(`the key file ${path} is no key`, 'name a file of one line');
    if ((found.mode & 0o077) !== 0) throw refused(`the key file ${path} can be read by others`, `chmod 600 ${path}`);
    const key = (await handle.readFile('utf8')).trim();
    if (KEY.test(key)) return key;
    throw refused(
      key === '' ? `the key file ${path} is empty` : `the key file ${path} holds something else than one key`,
      `put the key there and nothing else: install -m 600 /dev/stdin ${path}`,
    );
  } finally {
    await handle.close();
  }
}

function refused(message: string, hint: string): FederationError {
  return new FederationError('SETTINGS_INVALID', message, { hint });
}

/** What a request to that server proves itself by. */
export function keyHeaders(api: SharedServer['api'], key: string | null): Readonly<Record<string, string>> {
  if (key === null) return {};
  return api === 'anthropic' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` };
}
