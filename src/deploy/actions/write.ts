import { isDeepStrictEqual } from 'node:util';
import { filesAs, ownerName } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import type { BeforeFile } from '#src/deploy/actions/original.ts';
import { isOriginal, keepOriginal, keepVersion, restoreOriginal } from '#src/deploy/actions/original.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { holdsData } from '#src/deploy/place.ts';

export const write: ActionKind<'write', BeforeFile> = {
  key: ({ path }) => `write ${path}`,
  isSo({ path, text, mode, owner }, facts) {
    return isDeepStrictEqual(fileIn(facts, path), { text, mode, owner: ownerName(facts, owner) });
  },
  isData: holdsData,
  describe: ({ path }) => `write ${path}`,
  remember: (action) => (action.secret === true ? { ...action, text: '' } : action),
  before: (action, context) => keepOriginal(context, action),
  async content({ path, owner, text }, context) {
    return { now: await (await filesAs(context, owner)).read(path), next: text };
  },
  async apply({ path, text, mode, owner }, context) {
    const files = await filesAs(context, owner);
    await files.write({ path, content: text, mode, owner: null });
  },
  async undo(action, before, context, isOurs) {
    const found = await (await filesAs(context, action.owner)).read(action.path);
    if (found !== null && !isOurs(found) && !(await isOriginal(context, action, before))) {
      await keepVersion(context, action.path, found);
    }
    await restoreOriginal(context, action, before);
  },
};
