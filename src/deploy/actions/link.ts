import { filesAs } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import type { BeforeFile } from '#src/deploy/actions/original.ts';
import { isOriginal, keepOriginal, restoreOriginal } from '#src/deploy/actions/original.ts';
import { linkIn } from '#src/deploy/facts.ts';

export const link: ActionKind<'link', BeforeFile> = {
  key: ({ path }) => `link ${path}`,
  isSo: ({ path, target }, facts) => linkIn(facts, path) === target,
  describe: ({ path, target }) => `link ${path} to ${target}`,
  before: (action, context) => keepOriginal(context, action),
  async content({ path, owner, target }, context) {
    return { now: await (await filesAs(context, owner)).readLink(path), next: target };
  },
  async apply({ path, target, owner }, context) {
    const files = await filesAs(context, owner);
    await files.link(path, target);
  },
  async undo(action, before, context, isOurs) {
    const files = await filesAs(context, action.owner);
    const { original } = before;
    const state = await files.stat(action.path);
    const target = state?.kind === 'link' ? await files.readLink(action.path) : null;
    const isBack =
      original.was === 'link'
        ? target === original.target
        : original.was === 'file' && state?.kind === 'file' && (await isOriginal(context, action, before));
    if (isBack || state === null || (target !== null && isOurs(target)))
      return restoreOriginal(context, action, before);
    context.progress(`${action.path} is something else now, and stays`);
  },
};
