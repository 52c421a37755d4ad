import { dirname } from 'node:path/posix';
import { filesAs } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import type { BeforeFile } from '#src/deploy/actions/original.ts';
import { keepOriginal, restoreOriginal } from '#src/deploy/actions/original.ts';

export const link: ActionKind<'link', BeforeFile> = {
  key: ({ path }) => `link ${path}`,
  describe: ({ path, target }) => `link ${path} to ${target}`,
  before: (action, context) => keepOriginal(context, action),
  async content({ path, owner, target }, context) {
    return { now: await (await filesAs(context, owner)).readLink(path), next: target };
  },
  async apply({ path, target, owner }, context) {
    const files = await filesAs(context, owner);
    await files.makeFolder(dirname(path), null);
    await files.link(path, target);
  },
  async undo(action, before, context, isOurs) {
    const files = await filesAs(context, action.owner);
    const target = await files.readLink(action.path);
    const isTheirs = target === null ? (await files.stat(action.path)) !== null : !isOurs(target);
    if (isTheirs) context.progress(`${action.path} is something else now, and stays`);
    else await restoreOriginal(context, action, before);
  },
};
