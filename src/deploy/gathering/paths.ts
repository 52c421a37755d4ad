import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { Facts, FileFact } from '#src/deploy/facts.ts';
import type { Answers } from '#src/deploy/gathering/answers.ts';
import { flag, word } from '#src/deploy/gathering/answers.ts';
import { workerStandingIn } from '#src/deploy/worker-standing.ts';

/** As in `templates/facts.sh`: none of the files that we ask for comes near it. */
const MAX_BYTES = 1 << 20;

const stat = word
  .pipe(z.string().regex(/^[0-7]+ \d+ .+$/))
  .transform((text) => {
    const [mode = '', size = '', ...owner] = text.split(' ');
    return { mode: Number.parseInt(mode, 8) & 0o777, size: Number(size), owner: owner.join(' ') };
  })
  .optional();

const fileSchema = z.object({ stat, text: word.optional(), other: flag });
const folderSchema = z.object({ stat });
const linkSchema = z.object({ target: word.optional() });

/** A file; null where there is none, or it is not for us to read. Throws SETTINGS_INVALID for a huge one. */
export function fileAt(answers: Answers, path: string, question: 'file' | 'daemon' = 'file'): FileFact | null {
  const found = answers.to([question, path], fileSchema);
  if (found.other) throw unreadable(path, 'is no file');
  if (found.stat === undefined || found.text === undefined) return null;
  if (found.stat.size > MAX_BYTES) throw unreadable(path, `is larger than ${MAX_BYTES >> 20} MiB`);
  return { text: found.text, mode: found.stat.mode, owner: found.stat.owner };
}

export function folderAt(answers: Answers, path: string): { readonly mode: number; readonly owner: string } | null {
  const { stat: found } = answers.to(['folder', path], folderSchema);
  return found === undefined ? null : { mode: found.mode, owner: found.owner };
}

/** Where a link points to; null where none is. */
export function linkAt(answers: Answers, path: string): string | null {
  // readlink ends its line.
  return answers.to(['link', path], linkSchema).target?.replace(/\n$/, '') ?? null;
}

const daemonSchema = z.object({ alive: flag });

/** What the worker daemon says of itself; null where it doesn’t run. */
export function workerAt(answers: Answers, path: string): Facts['worker'] {
  const { alive } = answers.to(['daemon', path], daemonSchema);
  const file = fileAt(answers, path, 'daemon');
  return alive && file !== null ? workerStandingIn(file.text) : null;
}

function unreadable(path: string, problem: string): FederationError {
  return new FederationError('SETTINGS_INVALID', `${path} ${problem}`, {
    hint: `move it away: mv ${path} ${path}.old`,
  });
}
