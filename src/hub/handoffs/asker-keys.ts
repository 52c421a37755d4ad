import type { EventEmitter } from 'node:events';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';

/** Keys by which somebody asks: of operators, or of programs. */
export interface KeyBook {
  /** Whether the key is there, and was not revoked. */
  stands(keyId: string): boolean;
  readonly puttingOut: EventEmitter<{ out: [keyId: string] }>;
}

/** Those in whose name handoffs and messages wait, as long as their keys stand. */
export interface AskerKeys {
  /** Why nothing is begun for that asker any more; null where it is. */
  refusal(asker: Asker): string | null;
  /** A key was revoked: `isOwn` says whose asker it was. */
  onRevoked(listener: (isOwn: (asker: Asker) => boolean) => void): void;
}

export function createAskerKeys(books: readonly KeyBook[]): AskerKeys {
  return {
    refusal(asker) {
      const key = keyOf(asker);
      if (key === undefined || books.some((book) => book.stands(key))) return null;
      return `the key of ${askerText(asker)}, who asked for it, was revoked`;
    },
    onRevoked(listener) {
      for (const { puttingOut } of books) puttingOut.on('out', (key) => listener((asker) => keyOf(asker) === key));
    },
  };
}

function keyOf(asker: Asker): string | undefined {
  return asker.kind === 'operator' ? asker.key : undefined;
}
