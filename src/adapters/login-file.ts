import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import type { Login } from '#src/core/login.ts';
import { LOGIN_FILE } from '#src/core/login.ts';

/** The login of a home; null where there is none that this user can read. Throws HOME_UNUSABLE for one that is damaged. */
export function readLogin(home: string): Login | null {
  const path = join(home, LOGIN_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  const login = parsed(text);
  if (login !== null) return login;
  throw new FederationError('HOME_UNUSABLE', `${path} is damaged`, {
    hint: 'manage-federation logout, then login again',
  });
}

function parsed(text: string): Login | null {
  try {
    const { hub, hubId, name } = JSON.parse(text) as Partial<Record<keyof Login, unknown>>;
    if (typeof hub !== 'string' || typeof hubId !== 'string' || typeof name !== 'string') return null;
    return { hub, hubId, name };
  } catch {
    return null;
  }
}
