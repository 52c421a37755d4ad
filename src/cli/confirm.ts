import { createInterface } from 'node:readline/promises';
import { FederationError } from '#src/core/errors.ts';

/** Whether there is a person who can be asked. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Throws CONFIRMATION_NEEDED unless the person says yes. */
export async function confirm(question: string): Promise<void> {
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question(`${question} [y/N] `);
  asking.close();
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new FederationError('CONFIRMATION_NEEDED', 'not confirmed; nothing was done', {
    hint: 'answer y, or add --yes',
  });
}
