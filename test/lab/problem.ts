import { expect } from 'vitest';
import type { Finished } from './command.ts';

/** How a command of ours refused: its exit code, and of what it said the lines that are the problem, as it wrote them. */
export function problemIn({ code, stderr }: Finished): { readonly code: number | null; readonly problem: string } {
  return { code, problem: /^error: .*/ms.exec(stderr)?.[0] ?? stderr };
}

/** Where it did not end well, the problem is shown. */
export function expectDone(finished: Finished): void {
  const { code, problem } = problemIn(finished);
  expect(code === 0 ? { code } : { code, problem }).toEqual({ code: 0 });
}
