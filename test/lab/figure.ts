/** Tells what was measured; nothing is asserted of it, for this host may be busy. */
export function figure(what: string, ms: number): void {
  process.stderr.write(`figure: ${what}: ${(ms / 1000).toFixed(1)} s\n`);
}

/** Does it and tells how long that took. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  figure(what, performance.now() - start);
  return result;
}
