import { text } from 'node:stream/consumers';
import type { AbsenceOptions } from '#src/adapters/handoffs/absence.ts';
import { absence, isAbsence } from '#src/adapters/handoffs/absence.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';

/** What the hub made of something that has a key. */
export interface HandedIn<T> {
  readonly view: T;
  /** False where the key was known: it is what came of it before. */
  readonly isNew: boolean;
}

/**
 * Posts what has a key. Where the answer was lost it is posted again, since the same key is the same thing; a hub that was
 * never reached is not waited for. Throws what the hub answers, and the reason of the signal.
 */
export async function handIn<T>(
  hub: Pick<HubApi, 'open'>,
  path: '/handoffs' | '/messages',
  body: { readonly key: string },
  options: AbsenceOptions,
): Promise<HandedIn<T>> {
  const away = absence(options);
  for (let isSent = false; ;) {
    try {
      const response = await hub.open('POST', path, body, options.signal);
      isSent = true;
      return { view: JSON.parse(await text(response)) as T, isNew: response.statusCode === 201 };
    } catch (error) {
      options.signal.throwIfAborted();
      isSent ||= mayHaveArrived(error);
      if (!isSent) throw error;
      await away.next(error instanceof FederationError ? error : broken(error)).catch((last: unknown) => {
        throw isAbsence(last) ? uncertain(last, body.key) : last;
      });
    }
  }
}

/** Nobody listened: nothing was sent. */
const NEVER_SENT: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ENOTFOUND', 'EHOSTUNREACH']);

function mayHaveArrived(error: unknown): boolean {
  if (!(error instanceof FederationError)) return true;
  if (error.code === 'HUB_STOPPING') return true;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return error.code === 'HUB_UNREACHABLE' && error.cause !== undefined && !NEVER_SENT.has(code);
}

function uncertain(error: FederationError, key: string): FederationError {
  return new FederationError(error.code, `${error.message}; it may have been handed over`, {
    hint: `manage-federation handoff list; with --key ${key} it is the same one`,
    cause: error,
  });
}

function broken(cause: unknown): FederationError {
  return new FederationError('HUB_UNREACHABLE', 'the hub went away in the middle of its answer', {
    hint: 'look whether it runs: manage-federation status',
    cause,
  });
}
