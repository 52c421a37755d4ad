/** What bodies hold of this process's memory, shared among those who send them. */
export interface HeldMemory {
  /** `whose`: who answers for it; each has a share. */
  hold(whose: string): Holding;
}

export interface Holding {
  /** Holds so many bytes altogether; false where there is no room for them, and then it holds what it held. */
  grow(bytes: number): boolean;
  release(): void;
}

/** Bodies up to here are not counted, so that none is refused for the large ones of others: connections bound them. */
const SMALL_BYTES = 64 * 1024;

/** `held`: bytes of all at once; `share`: of one at once. */
export function createHeldMemory(held: number, share: number): HeldMemory {
  let inUse = 0;
  const shares = new Map<string, number>();

  return {
    hold(whose) {
      let own = 0;
      function change(by: number): void {
        own += by;
        inUse += by;
        const left = (shares.get(whose) ?? 0) + by;
        if (left === 0) shares.delete(whose);
        else shares.set(whose, left);
      }
      return {
        grow(bytes) {
          const more = bytes - own;
          if (bytes <= SMALL_BYTES || more <= 0) return true;
          if (inUse + more > held || (shares.get(whose) ?? 0) + more > share) return false;
          change(more);
          return true;
        },
        release: () => change(-own),
      };
    },
  };
}
