import type { Home } from '#src/adapters/home.ts';
import type { KeyPair } from '#src/link/key.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';

/** The key by which the hub knows this node, and the one that is to take its place. */
export interface NodeKeys {
  current(): KeyPair;
  /** Null while no change of the key is under way: the hub may know the node by this one already. */
  next(): KeyPair | null;
  /** Durable when it resolves; the one that is there, where a change is under way. */
  makeNext(): Promise<KeyPair>;
  /** The hub has said that it does not take it. */
  dropNext(): Promise<void>;
  /** The hub knows the node by it now. Without one it does nothing. */
  adoptNext(): Promise<void>;
}

const KEY_FILE = 'node.key';
const NEXT_FILE = 'node.key.next';

/** The keys of a home, with a fresh one where it has none. */
export async function openNodeKeys(home: Home): Promise<NodeKeys> {
  let current = keyPair(await home.secret(KEY_FILE, createPrivateKey));
  let next = keyIn(await home.read(NEXT_FILE));
  let turn: Promise<unknown> = Promise.resolve();

  /** The answer of the hub and the end of the link may tell the same at once. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  }

  return {
    current: () => current,
    next: () => next,
    makeNext: () =>
      inTurn(async () => {
        if (next !== null) return next;
        const pem = createPrivateKey();
        await home.write(NEXT_FILE, pem);
        return (next = keyPair(pem));
      }),
    dropNext: () =>
      inTurn(async () => {
        await home.remove(NEXT_FILE);
        next = null;
      }),
    adoptNext: () =>
      inTurn(async () => {
        if (next === null) return;
        await home.rename(NEXT_FILE, KEY_FILE);
        current = next;
        next = null;
      }),
  };
}

/** What is no key was never shown to a hub: a change writes it whole first. */
function keyIn(pem: string | null): KeyPair | null {
  if (pem === null) return null;
  try {
    return keyPair(pem);
  } catch {
    return null;
  }
}
