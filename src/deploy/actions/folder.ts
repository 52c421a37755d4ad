import { isDeepStrictEqual } from 'node:util';
import { FederationError } from '#src/core/errors.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs, ownerName, userOf } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import type { Owned } from '#src/deploy/actions/original.ts';
import { folderIn } from '#src/deploy/facts.ts';
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
  async before(action, context) {
    const files = await makerFiles(context, action);
    const state = await files.stat(action.path);
    if (state === null) return { was: 'absent', missing: await files.missingFolders(action.path) };
    if (state.kind === 'folder') return { was: 'folder', mode: state.mode, uid: state.uid, gid: state.gid };
    throw new FederationError('STEP_FAILED', `${action.path} is there already, and is no folder`, {
      hint: `see what it is (ls -ld ${action.path}) and move it away`,
    });
  },
  async apply(action, context) {
    const { path, mode, owner } = action;
    const files = await makerFiles(context, action);
    await files.makeFolder(path, null);
    const user = await userOf(context, owner);
    const uid = user === 'root' ? 0 : user.uid;
    const state = await files.stat(path);
    if (state?.uid === uid) return files.setMode(path, mode, null);
    const group = user === 'root' ? 0 : await groupId(context, user.name);
    await (await filesAs(context, 'root')).setMode(path, mode, { uid, gid: group });
  },
  async undo(action, before, context) {
    const files = await makerFiles(context, action);
    if (before.was === 'absent') {
      await files.removeFolder(action.path, before.missing.slice(0, -1).toReversed());
      return;
    }
    const state = await files.stat(action.path);
    if (state === null || state.kind !== 'folder') return;
    const { mode, uid, gid } = before;
    const restorer = state.uid === uid ? files : await filesAs(context, 'root');
    await restorer.setMode(action.path, mode, state.uid === uid && state.gid === gid ? null : { uid, gid });
  },
};

/** The hub's folder lies where the hub itself can make none. */
function makerFiles(context: Context, { owner }: Owned): ReturnType<typeof filesAs> {
  return filesAs(context, owner === 'hub' && context.place.hubUser !== null ? 'root' : owner);
}

async function groupId({ machine, signal }: Context, name: string): Promise<number> {
  const { stdout } = await machine.run({ argv: ['id', '-g', '--', name], as: 'login', signal });
  return Number(stdout);
}
