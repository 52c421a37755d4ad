import { join } from 'node:path/posix';
import type { Owner, Step } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { linkIn } from '#src/deploy/facts.ts';
import { COMMANDS } from '#src/deploy/place.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Given } from '#src/deploy/plan/given.ts';

/** Programs belong to nobody who runs commands here by us, where root is there to keep them. */
export function programOwner({ place }: Facts): Owner {
  return place.scope === 'system' ? 'root' : 'person';
}

/** Our programs in a place of their own: a home that is cleared, or a package that is updated, stops no daemon. */
export function programStep(facts: Facts, { release }: Given): Step {
  const { place } = facts;
  const owner = programOwner(facts);
  const path = join(place.prefix, 'releases', release.name);
  return {
    id: 'program',
    title: `the programs of the federation are in ${place.prefix}`,
    actions: needed(facts, [
      { do: 'folder', path: place.prefix, mode: 0o755, owner },
      { do: 'release', path, owner },
      { do: 'link', path: place.current, target: path, owner },
      ...COMMANDS.map(
        (command) =>
          ({ do: 'link', path: join(place.commands, command), target: join(place.bin, command), owner }) as const,
      ),
    ]),
  };
}

/** Whether another release runs afterwards: what runs the old one is started anew. */
export function isNewRelease(facts: Facts, { release }: Given): boolean {
  const { place } = facts;
  return linkIn(facts, place.current) !== join(place.prefix, 'releases', release.name);
}
