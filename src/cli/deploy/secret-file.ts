import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { FederationError } from '#src/core/errors.ts';

/**
 * A secret from the file that a flag names; `-` is standard input. Nothing is read from there that wasn't asked for: it
 * may be the rest of somebody's script. Throws USAGE.
 */
export async function readSecret(flag: `--${string}`, file: string): Promise<string> {
  if (file !== '-') {
    return readFile(file, 'utf8').catch((cause: unknown) => {
      const { code } = cause as NodeJS.ErrnoException;
      throw new FederationError('USAGE', `${flag}: ${file} can’t be read (${code})`, {
        hint: 'name the file that holds the token, or - for standard input',
        cause,
      });
    });
  }
  if (!process.stdin.isTTY) return text(process.stdin);
  throw new FederationError('USAGE', `${flag} -: standard input is a terminal, which would show the token`, {
    hint: 'pipe the token in, or name its file',
  });
}
