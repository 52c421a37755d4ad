import { setTimeout as pause } from 'node:timers/promises';

/** The first answer of `look` that is neither false, null nor undefined; rejects, naming what never was, after `withinMs`. */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 15_000,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) {
      return found as Exclude<T, false | null | undefined>;
    }
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await pause(10);
  }
}
