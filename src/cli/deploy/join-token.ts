import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { say } from '#src/adapters/terminal.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseJoinToken } from '#src/core/join-token.ts';

/** The join token that the flags name, checked to be one; null where they name none. Throws USAGE, TOKEN_INVALID. */
export async function givenToken({ token, tokenFile }: DeployFlags): Promise<string | null> {
  if (token === undefined && tokenFile === undefined) return null;
  if (token !== undefined) {
    say('warning: other users of this machine can read --token, and the shell remembers it; --token-file keeps it');
  }
  const found = (token ?? (await readToken(tokenFile!))).trim();
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

/** Nothing is read from standard input that wasn't asked for: it may be the rest of somebody's script. */
async function readToken(file: string): Promise<string> {
  if (file !== '-') {
    return readFile(file, 'utf8').catch((cause: unknown) => {
      const { code } = cause as NodeJS.ErrnoException;
      throw new FederationError('USAGE', `--token-file: ${file} can’t be read (${code})`, {
        hint: 'name the file that holds the token, or - for standard input',
        cause,
      });
    });
  }
  if (!process.stdin.isTTY) return text(process.stdin);
  throw new FederationError('USAGE', '--token-file -: standard input is a terminal, which would show the token', {
    hint: 'pipe the token in, or name its file',
  });
}
