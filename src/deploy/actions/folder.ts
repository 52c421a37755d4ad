import { isDeepStrictEqual } from 'node:util';
import type { Files, FileState } from '#src/adapters/machine/files.ts';
import type { Person } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs, ownerName, userOf } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import type { Owned } from '#src/deploy/actions/original.ts';
import { folderIn } from '#src/deploy/facts.ts';
import type { Place } from '#src/deploy/place.ts';
import { holdsData } from '#src/deploy/place.ts';

export type BeforeFolder =
  /** With those above it that were not there either, uppermost first. */
  | { readonly was: 'absent'; readonly missing: readonly string[] }
  | { readonly was: 'folder'; readonly mode: number; readonly uid: number; readonly gid: number };

export const folder: ActionKind<'folder', BeforeFolder> = {
  key: ({ path }) => `folder ${path}`,
  isSo(action, facts) {
    const { mode, owner } = action;
    return isDeepStrictEqual(folderIn(facts, action.path), { mode, owner: ownerName(facts, owner) });
  },
  isData: holdsData,
  describe: ({ path, mode }) => `make the folder ${path} (${mode.toString(8)})`,
  describeUndo({ path }, { was }, place) {
    if (was === 'folder') return `leave the folder ${path}, with its permissions from before`;
    return isTheirs(path, place)
      ? `remove the folder ${path} if it is empty: what OpenClaw has made in it stays`
      : `delete the folder ${path} and all in it`;
  },
  async before(action, context) {
    const files = await makerFiles(context, action);
    const found = await usableFolder(action, context, files);
    if (found === null) return { was: 'absent', missing: await files.missingFolders(action.path) };
    return { was: 'folder', mode: found.mode, uid: found.uid, gid: found.gid };
  },
  async apply(action, context) {
    const { path, mode, owner } = action;
    const files = await makerFiles(context, action);
    await files.makeFolder(path, null);
    const found = await usableFolder(action, context, files);
    const user = await userOf(context, owner);
    const isOwn = found?.uid === uidOf(user);
    await files.setMode(path, mode, isOwn ? null : await idsOf(context, user));
  },
  async undo(action, before, context) {
    const { path } = action;
    const files = await makerFiles(context, action);
    if (before.was === 'absent') {
      const above = before.missing.slice(0, -1).toReversed();
      if (!isTheirs(path, context.place)) return files.removeFolder(path, above);
      await files.removeEmpty([path, ...above]);
      if ((await files.stat(path)) !== null) context.progress(`${path} stays, with what OpenClaw has made in it`);
      return;
    }
    const found = await files.stat(path);
    if (found?.kind !== 'folder') return;
    const { mode, uid, gid } = before;
    if (rootMakes(context, action)) return files.setMode(path, mode, { uid, gid });
    if (found.uid === uid) return files.setMode(path, mode, null);
    context.progress(`${path} had another owner before (${uid}:${gid}), and stays whose it is`);
  },
};

/** Whoever made it: from then on a person's OpenClaw keeps its memory and their work there. */
function isTheirs(path: string, { openclawState }: Place): boolean {
  return path === openclawState;
}

/** What is there; null: nothing. Throws STEP_FAILED unless it is a folder of its owner; the hub's may be made so. */
async function usableFolder(action: Owned, context: Context, files: Files): Promise<FileState | null> {
  const { path, owner } = action;
  const found = await files.stat(path);
  if (found === null) return null;
  if (found.kind !== 'folder') throw inTheWay(path, 'is no folder');
  const isHubs = owner === 'hub' && rootMakes(context, action);
  if (isHubs || found.uid === uidOf(await userOf(context, owner))) return found;
  throw inTheWay(path, `belongs to another user (uid ${found.uid})`);
}

function inTheWay(path: string, problem: string): FederationError {
  return new FederationError('STEP_FAILED', `${path} is there already, and ${problem}`, {
    hint: `see what it is (ls -ld ${path}) and move it away`,
  });
}

/** The hub's folder lies where the hub itself can make none. */
function makerFiles(context: Context, action: Owned): Promise<Files> {
  return filesAs(context, rootMakes(context, action) ? 'root' : action.owner);
}

/**
 * Whether root makes it, and gives it away: only in a folder that nobody else can write, for whatever a path names
 * elsewhere may be another thing a moment later.
 */
function rootMakes({ place }: Context, { owner }: Owned): boolean {
  return owner === 'root' || (owner === 'hub' && place.hubUser !== null);
}

function uidOf(user: 'root' | Person): number {
  return user === 'root' ? 0 : user.uid;
}

async function idsOf({ machine, signal }: Context, user: 'root' | Person) {
  if (user === 'root') return { uid: 0, gid: 0 };
  const { stdout } = await machine.run({ argv: ['id', '-g', '--', user.name], as: 'login', signal });
  return { uid: user.uid, gid: Number(stdout) };
}
