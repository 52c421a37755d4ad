import { FederationError } from '#src/core/errors.ts';
import { messageIdOf } from '#src/hub/a2a/wish.ts';
import type { HandoffDesk } from '#src/hub/handoffs/desk.ts';

/** More than handoffs are kept. */
const MAX_KEYS = 20_000;

/**
 * A handoff's key holds the conversation beside the message's id, so the same message in another conversation would be
 * another handoff. This sees that it is refused, as any other change of a message is.
 */
export interface Conversations {
  /** Creates by a key unless its message is known by another one. Throws HANDOFF_CONFLICT, and what `create` throws. */
  once<T>(asker: string, key: string, create: () => Promise<T>): Promise<T>;
}

export function createConversations(desk: Pick<HandoffDesk, 'heads'>): Conversations {
  const keys = new Map<string, string>();
  let isLoaded = false;

  const name = (asker: string, key: string): string => JSON.stringify([asker, messageIdOf(key)]);

  function keep(asker: string, key: string): void {
    keys.set(name(asker, key), key);
    for (const oldest of keys.keys()) {
      if (keys.size <= MAX_KEYS) break;
      keys.delete(oldest);
    }
  }

  function load(): void {
    if (isLoaded) return;
    for (const { asker, key } of desk.heads({ kind: 'operator', name: 'a2a' }).toReversed()) keep(asker, key);
    isLoaded = true;
  }

  return {
    async once(asker, key, create) {
      load();
      const known = keys.get(name(asker, key));
      if (known !== undefined && known !== key) {
        throw new FederationError('HANDOFF_CONFLICT', 'the message’s id is known with another contextId');
      }
      // Before it is there: of two at once, the second must see the first.
      keep(asker, key);
      try {
        return await create();
      } catch (error) {
        if (known === undefined) keys.delete(name(asker, key));
        throw error;
      }
    },
  };
}
