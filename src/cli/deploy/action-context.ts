import type { Machine } from '#src/adapters/machine/machine.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { PACKAGE_FOLDER } from '#src/cli/deploy/package-folder.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** What the actions on a machine are done with. Where no token is given or made, none of them may need one. */
export function contextOf(
  { machine, signal }: { readonly machine: Machine; readonly signal: AbortSignal },
  { place, person }: Facts,
  more: Pick<Context, 'progress'> & Partial<Pick<Context, 'joinToken' | 'mint'>>,
): Context {
  return {
    ...{ machine, place, person, signal, packageFolder: PACKAGE_FOLDER },
    joinToken: null,
    mint: () => Promise.reject(new Error('no hub here makes a token')),
    ...more,
  };
}
