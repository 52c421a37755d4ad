import { say } from '#src/adapters/terminal.ts';

/** Nobody wonders about less. */
const PATIENCE_MS = 1000;

/** Waits for work; says what it is where it takes longer than a person waits without a word. */
export async function noticed<T>(text: string, work: Promise<T>, silent = false): Promise<T> {
  const timer = setTimeout(() => say(text), PATIENCE_MS);
  if (silent) clearTimeout(timer);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
