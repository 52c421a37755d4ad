import { say } from '#src/adapters/terminal.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import { readSecret } from '#src/cli/deploy/secret-file.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseJoinToken } from '#src/core/join-token.ts';

/** The join token that the flags name, checked to be one; null where they name none. Throws USAGE, TOKEN_INVALID. */
export async function givenToken({ token, tokenFile }: DeployFlags): Promise<string | null> {
  if (token === undefined && tokenFile === undefined) return null;
  if (token !== undefined) {
    say('warning: other users of this machine can read --token, and the shell remembers it; --token-file keeps it');
  }
  const found = (token ?? (await readSecret('--token-file', tokenFile!))).trim();
  if (found === '') throw nothingIn(tokenFile);
  parseJoinToken(found);
  return found;
}

/** What should have made the token has most likely failed, and said why. */
function nothingIn(file: string | undefined): FederationError {
  const problem =
    file === undefined
      ? '--token: nothing is given'
      : `--token-file ${file}: ${file === '-' ? 'nothing came by standard input' : 'the file is empty'}`;
  return new FederationError('USAGE', problem, {
    hint: 'see what the command that makes the token says: manage-federation token create',
  });
}
