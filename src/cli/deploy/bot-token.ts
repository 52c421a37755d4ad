import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import { readSecret } from '#src/cli/deploy/secret-file.ts';
import { FederationError } from '#src/core/errors.ts';

/** As BotFather gives them: the bot's number, and 35 characters. */
const SHAPE = /^\d{6,12}:[\w-]{30,64}$/;

/** The token of the Telegram bot that the flags name, checked to be one; null where they name none. Throws USAGE. */
export async function givenBotToken({ telegramTokenFile: file }: DeployFlags): Promise<string | null> {
  if (file === undefined) return null;
  const token = (await readSecret('--telegram-token-file', file)).trim();
  if (SHAPE.test(token)) return token;
  // What is in the file may be another secret: it is not repeated.
  const problem = token === '' ? 'is empty' : 'is no token of a Telegram bot';
  throw new FederationError('USAGE', `--telegram-token-file: what is in ${file} ${problem}`, {
    hint: 'write /newbot to @BotFather at Telegram: it answers with one, as 123456789:AA…',
  });
}
