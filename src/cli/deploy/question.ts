import { harmless } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';

/** The person pressed Ctrl-C instead of answering: nothing was done, and nothing is to be said but that. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Asks a person on standard error. Resolves with what they typed; throws Interrupted. */
export async function ask<T>(
  prompt: (on: { output: NodeJS.WritableStream; signal: AbortSignal }) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await prompt({ output: process.stderr, signal });
  } catch (error) {
    if (error instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(error.name)) {
      throw new Interrupted('the person left', { cause: error });
    }
    throw error;
  }
}

/** Throws CONFIRMATION_NEEDED unless the person says yes, and Interrupted. */
export async function askToGoOn(question: string, signal: AbortSignal): Promise<void> {
  const { confirm } = await import('@inquirer/prompts');
  if (await ask((on) => confirm({ message: harmless(question), default: false }, on), signal)) return;
  throw new FederationError('CONFIRMATION_NEEDED', 'not confirmed; nothing was done', {
    hint: 'answer y, or add --yes',
  });
}

/** What is typed is not shown. `check` says what is wrong with it; null: nothing. Throws Interrupted. */
export async function askHidden(
  question: string,
  signal: AbortSignal,
  check: (text: string) => string | null = () => null,
): Promise<string> {
  const { password } = await import('@inquirer/prompts');
  return ask(
    (on) => password({ message: harmless(question), mask: '*', validate: (text) => check(text) ?? true }, on),
    signal,
  );
}
