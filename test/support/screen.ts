import { vi } from 'vitest';

/** What this process has written, instead of a terminal; `vi.restoreAllMocks` ends it. */
export function screen(): { stdout: string; stderr: string } {
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => ((written[name] += String(text)), true));
  }
  return written;
}

/** Runs `work` as if both outputs were a terminal of that size. */
export async function onTerminal<T>(size: { columns: number; rows?: number }, work: () => Promise<T>): Promise<T> {
  const outputs = [process.stdout, process.stderr];
  const before = outputs.map(({ isTTY, columns, rows }) => ({ isTTY, columns, rows }));
  for (const output of outputs) Object.assign(output, { isTTY: true, rows: 24, ...size });
  try {
    return await work();
  } finally {
    outputs.forEach((output, at) => Object.assign(output, before[at]));
  }
}
