import { setTimeout as pause } from 'node:timers/promises';

const LOOK_MS = 50;

/** Looks again and again until there is something to return. Throws when it does not come about in time. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await pause(LOOK_MS);
  }
}
