import { FederationError } from '#src/core/errors.ts';

/** One that waits on a line of its own for a judgement. */
export interface Waiting {
  /** Aborted when it goes away. */
  readonly signal: AbortSignal;
  /** Tells it that it waits, and why only a person may let it in. */
  wait(held: string | null): void;
}

/** The lines that are held by those who wait to be let in, one for each key. `T` is what they become. */
export interface Waiters<T extends { readonly id: string }> {
  /** Tells it that it waits. Rejects when it is refused, has gone, or asks again on another line. */
  hold(keyId: string, waiting: Waiting, held: string | null): Promise<T>;
  readonly has: (keyId: string) => boolean;
  admit(admitted: T): void;
  refuse(keyId: string, error: FederationError): void;
  /** Refuses all for whom `why` has a reason. */
  refuseAll(why: (keyId: string) => FederationError | null): void;
}

interface Line<T> {
  readonly admit: (admitted: T) => void;
  readonly refuse: (error: FederationError) => void;
}

export function createWaiters<T extends { readonly id: string }>(): Waiters<T> {
  const lines = new Map<string, Line<T>>();

  return {
    hold(keyId, { signal, wait }, held) {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const line = { admit: resolve, refuse: reject };
      lines.get(keyId)?.refuse(new FederationError('LINK_REPLACED', 'it asked again on another connection'));
      lines.set(keyId, line);
      const leave = (): void => reject(new FederationError('LINK_LOST', 'it went away'));
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      wait(held);
      return promise.finally(() => {
        signal.removeEventListener('abort', leave);
        if (lines.get(keyId) === line) lines.delete(keyId);
      });
    },
    has: (keyId) => lines.has(keyId),
    admit: (admitted) => lines.get(admitted.id)?.admit(admitted),
    refuse: (keyId, error) => lines.get(keyId)?.refuse(error),
    refuseAll(why) {
      for (const [keyId, line] of lines) {
        const error = why(keyId);
        if (error !== null) line.refuse(error);
      }
    },
  };
}
