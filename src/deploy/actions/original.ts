import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path/posix';
import type { Files } from '#src/adapters/machine/files.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Owner } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs, keeperOf, userOf } from '#src/deploy/actions/context.ts';

/** What was at a path before the first change. */
export interface BeforeFile {
  readonly original:
    | { readonly was: 'absent' }
    | { readonly was: 'link'; readonly target: string }
    | {
        readonly was: 'file';
        /** Path of a copy of it. */
        readonly backup: string;
        readonly mode: number;
        readonly uid: number;
        readonly gid: number;
      };
  /** Folders above it that were not there, uppermost first. */
  readonly missing: readonly string[];
  /** Where a link at the path of the action led to. */
  readonly path?: string;
}

export interface Owned {
  readonly path: string;
  readonly owner: Owner;
}

/** Says what is at a path, and keeps a copy of it where it is a file. Throws STEP_FAILED for anything else. */
export async function keepOriginal(context: Context, { path, owner }: Owned): Promise<BeforeFile> {
  const files = await filesAs(context, owner);
  const missing = await files.missingFolders(dirname(path));
  const state = await files.stat(path);
  if (state === null) return { original: { was: 'absent' }, missing };
  if (state.kind === 'link') return { original: { was: 'link', target: (await files.readLink(path)) ?? '' }, missing };
  const content = state.kind === 'file' ? await files.read(path) : null;
  if (content === null) throw inTheWay(path);
  const { mode, uid, gid } = state;
  return { original: { was: 'file', backup: await keepCopy(context, path, content), mode, uid, gid }, missing };
}

function inTheWay(path: string): FederationError {
  return new FederationError('STEP_FAILED', `${path} is there already, and is no file`, {
    hint: `see what it is (ls -ld ${path}) and move it away`,
  });
}

async function keepCopy(context: Context, path: string, content: Buffer): Promise<string> {
  const { backups } = context.place;
  const backup = join(backups, createHash('sha256').update(path).digest('hex').slice(0, 16));
  const keeper = await filesAs(context, keeperOf(context.place));
  await keeper.write({ path: backup, content, mode: 0o600, owner: null, folderMode: 0o700 });
  return backup;
}

/** Its bytes; null where there was no file. */
export async function originalBytes(context: Context, { original }: BeforeFile): Promise<Buffer | null> {
  if (original.was !== 'file') return null;
  const bytes = await (await filesAs(context, keeperOf(context.place))).read(original.backup);
  if (bytes !== null) return bytes;
  throw new FederationError('STEP_FAILED', `the copy of a file from before is gone: ${original.backup}`, {
    hint: 'put the file in order by hand, and this copy back',
  });
}

/** Whether a file holds what it held before the first change. */
export async function isOriginal(context: Context, { path, owner }: Owned, before: BeforeFile): Promise<boolean> {
  const [found, kept] = [await (await filesAs(context, owner)).read(path), await originalBytes(context, before)];
  return found !== null && kept !== null && kept.equals(found);
}

/**
 * Puts it back, byte for byte, and leaves no folder that was made for it. Whoever owns the folder may have had somebody
 * else's file in it: root gives nothing to anybody by a path that its owner could lead elsewhere meanwhile.
 */
export async function restoreOriginal(context: Context, { path, owner }: Owned, before: BeforeFile): Promise<void> {
  const files = await filesAs(context, owner);
  const { original, missing } = before;
  if (original.was === 'absent') await files.remove(path);
  else if (original.was === 'link') await files.link(path, original.target);
  else {
    const { mode, uid, gid } = original;
    const content = (await originalBytes(context, before)) ?? '';
    const user = await userOf(context, owner);
    const isOwn = user === 'root' || user.uid === uid;
    await files.write({ path, content, mode, owner: isOwn ? { uid, gid } : null });
    if (!isOwn) context.progress(`${path} had another owner before (${uid}:${gid}), and stays with ${user.name}`);
  }
  await files.removeEmpty(missing.toReversed());
}

/**
 * Puts a person's own version of a file that is about to go where no folder of ours is removed around it, and tells
 * them.
 */
export async function keepVersion(context: Context, path: string, content: Buffer): Promise<void> {
  const files = await filesAs(context, 'person');
  const kept = await freePath(files, join(context.person.home, `${basename(path)}.kept-by-uninstall`));
  await files.write({ path: kept, content, mode: 0o600, owner: null });
  context.progress(`${path} was changed after it was deployed: that version is now ${kept}`);
}

async function freePath(files: Files, path: string): Promise<string> {
  const taken = new Set(await files.list(dirname(path)));
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}.${number}`;
    if (!taken.has(basename(candidate))) return candidate;
  }
}
