import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { changeEach, sayChanges } from '#src/cli/manage/member.ts';

/** `manage-federation models allow NODE…` */
export async function allowModels(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const changes = await changeEach(words, 'models/allow', undefined, flags);
  return sayChanges(changes, ({ mayOfferModels }) => !mayOfferModels, flags, {
    done: 'may offer models: who is served by them is read there',
    before: 'may offer models already',
  });
}

/** `manage-federation models deny NODE…` */
export async function denyModels(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const changes = await changeEach(words, 'models/deny', undefined, flags);
  return sayChanges(changes, ({ mayOfferModels }) => mayOfferModels, flags, {
    done: 'may not offer models: what it shares is for its own programs',
    before: 'could not offer models before either',
  });
}
