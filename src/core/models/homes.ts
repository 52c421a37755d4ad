/** Which candidate served a conversation last: it has the beginning of it in memory. */
export interface Homes {
  /** Of the first key that is known; null where none is. */
  find(keys: readonly string[]): string | null;
  /** `candidate` serves what `key` stands for. */
  settle(key: string, candidate: string): void;
}

/** Remembers the `max` conversations that were heard of last. */
export function createHomes(max = 20_000): Homes {
  // A Map keeps its order: what is set again goes to the end, and the first is the oldest.
  const homes = new Map<string, string>();
  return {
    find(keys) {
      for (const key of keys) {
        const home = homes.get(key);
        if (home !== undefined) return home;
      }
      return null;
    },
    settle(key, candidate) {
      homes.delete(key);
      homes.set(key, candidate);
      if (homes.size <= max) return;
      const [oldest] = homes.keys();
      if (oldest !== undefined) homes.delete(oldest);
    },
  };
}
