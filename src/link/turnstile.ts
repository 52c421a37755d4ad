/** Lets strangers through at a pace that costs those who are known nothing, each address in its turn. */
export interface Turnstile {
  /** Resolves when it is this one's turn, or when `signal` is aborted: whoever is gone takes no turn. */
  pass(address: string, signal: AbortSignal): Promise<void>;
}

export interface TurnstileOptions {
  /** How many pass in a second, once `burst` of them have. */
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * What the hub lets through: a proof costs it about a millisecond, so that strangers take a tenth of one core at most,
 * and a whole fleet that is new is through in seconds.
 */
export const STRANGERS: TurnstileOptions = { perSecond: 100, burst: 200 };

export function createTurnstile({ perSecond, burst }: TurnstileOptions): Turnstile {
  const waiting = new Map<string, Set<() => void>>();
  let turns = burst;
  let countedAt = performance.now();
  let timer: NodeJS.Timeout | null = null;

  function count(): void {
    const now = performance.now();
    turns = Math.min(burst, turns + ((now - countedAt) * perSecond) / 1000);
    countedAt = now;
  }

  /** Whoever holds many connections from one address waits behind every other address. */
  function serve(): void {
    timer = null;
    count();
    while (turns >= 1) {
      const [next] = waiting;
      if (next === undefined) return;
      const [address, here] = next;
      const [go] = here;
      leave(address, go!);
      if (waiting.delete(address)) waiting.set(address, here);
      turns -= 1;
      go!();
    }
    if (waiting.size > 0) timer = setTimeout(serve, ((1 - turns) / perSecond) * 1000);
  }

  function leave(address: string, go: () => void): void {
    const here = waiting.get(address);
    here?.delete(go);
    if (here?.size === 0) waiting.delete(address);
  }

  return {
    async pass(address, signal) {
      if (signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(address, (waiting.get(address) ?? new Set()).add(resolve));
      const gone = (): void => {
        leave(address, resolve);
        resolve();
      };
      signal.addEventListener('abort', gone, { once: true });
      if (timer === null) serve();
      await promise;
      signal.removeEventListener('abort', gone);
    },
  };
}
