import { createInterface } from 'node:readline/promises';
import { harmless } from '#src/adapters/terminal.ts';
import { Interrupted } from '#src/cli/deploy/question.ts';
import { FederationError } from '#src/core/errors.ts';

/** Whether there is a person who can be asked. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Throws CONFIRMATION_NEEDED unless the person says yes, and Interrupted where they press Ctrl-C. */
export async function confirm(question: string): Promise<void> {
  const answer = await answerTo(`${harmless(question)} [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new FederationError('CONFIRMATION_NEEDED', 'not confirmed; nothing was done', {
    hint: 'answer y, or add --yes',
  });
}

/** The end of the input is no answer, and so no yes. */
async function answerTo(question: string): Promise<string> {
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const left = Promise.withResolvers<string>();
  asking.once('SIGINT', () => left.reject(new Interrupted('the person left')));
  asking.once('close', () => left.resolve(''));
  try {
    return await Promise.race([asking.question(question), left.promise]);
  } finally {
    asking.close();
  }
}
