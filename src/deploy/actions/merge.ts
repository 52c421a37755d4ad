import { isDeepStrictEqual } from 'node:util';
import { parse } from 'jsonc-parser';
import type { Files } from '#src/adapters/machine/files.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { mergedText, unmergedText } from '#src/deploy/actions/merge-text.ts';
import type { BeforeFile } from '#src/deploy/actions/original.ts';
import { keepOriginal, originalBytes, restoreOriginal } from '#src/deploy/actions/original.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { valueAt } from '#src/deploy/settings-value.ts';

export const merge: ActionKind<'merge', BeforeFile> = {
  key: ({ path }) => `merge ${path}`,
  isSo({ path, values }, facts) {
    const file = fileIn(facts, path);
    if (file === null) return false;
    const settings: unknown = parse(file.text);
    return Object.entries(values).every(([key, value]) => isDeepStrictEqual(valueAt(settings, key), value));
  },
  describe: ({ path, values }) => `set ${Object.keys(values).join(', ')} in ${path}`,
  remember: (action, earlier) => ({
    ...action,
    values: { ...earlier?.values, ...action.values, ...forgotten(action.secrets) },
    secrets: [...new Set([...(earlier?.secrets ?? []), ...action.secrets])],
  }),
  async before(action, context) {
    const path = await realPath(context, action);
    return { ...(await keepOriginal(context, { path, owner: action.owner })), path };
  },
  async content(action, context) {
    const now = await textOf(await filesAs(context, action.owner), action.path);
    return { now, next: mergedText(action.path, now, action.values) };
  },
  async apply(action, context) {
    const { mode, owner, values } = action;
    const files = await filesAs(context, owner);
    const path = await realPath(context, action);
    const now = await textOf(files, path);
    await files.write({ path, content: mergedText(path, now, values), mode, owner: null });
  },
  async undo(action, before, context, isOurs) {
    const { owner, values, secrets } = action;
    // Where it was changed: a link that was made since then leads to what is none of ours.
    const path = before.path ?? action.path;
    const files = await filesAs(context, owner);
    if ((await files.stat(path))?.kind === 'link') {
      context.progress(`${path} is a link now: what was set in the file that it leads to stays`);
      return;
    }
    const now = await textOf(files, path);
    const original = (await originalBytes(context, before))?.toString('utf8') ?? null;
    if (now === null || isOurs(now) || now === original) return restoreOriginal(context, { path, owner }, before);
    const known = { ...values, ...Object.fromEntries(secrets.map((key) => [key, undefined])) };
    const text = unmergedText({ now, original, values: known });
    if (text === null) return restoreOriginal(context, { path, owner }, before);
    const mode = modeAfter(action.mode, (await files.stat(path))?.mode ?? action.mode, before);
    await files.write({ path, content: text, mode, owner: null });
    context.progress(`${path} was changed after it was deployed: only the keys that were set in it are taken back`);
  },
};

/** As it was before us, unless a person has made it another since. */
function modeAfter(ours: number, now: number, { original }: BeforeFile): number {
  return original.was === 'file' && now === ours ? original.mode : now;
}

function forgotten(secrets: readonly string[]): Record<string, null> {
  return Object.fromEntries(secrets.map((key) => [key, null]));
}

/** A person may keep the file elsewhere, and a link to it here: the link stays. */
async function realPath(context: Context, { path, owner }: ActionOf<'merge'>): Promise<string> {
  const files = await filesAs(context, owner);
  return files.realPath(path);
}

/** Throws SETTINGS_INVALID for bytes that are no text, which could not be written back as they are. */
async function textOf(files: Files, path: string): Promise<string | null> {
  const bytes = await files.read(path);
  if (bytes === null) return null;
  const text = bytes.toString('utf8');
  if (Buffer.from(text).equals(bytes)) return text;
  throw new FederationError('SETTINGS_INVALID', `${path} is not UTF-8`, { hint: 'write it as UTF-8, then go on' });
}
