import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { folderIn } from '#src/deploy/facts.ts';
import { ownDeployment, SYSTEM_PREFIX } from '#src/deploy/place.ts';

/**
 * Throws SUDO_REFUSED where root deployed this machine and a person asks about it who isn't root: to them it would
 * look as if there were nothing. `command` is what to say with sudo.
 */
export function refuseWithoutRoot(facts: Facts, command: string): void {
  if (facts.place.scope === 'system' || facts.record !== null || folderIn(facts, SYSTEM_PREFIX) === null) return;
  throw new FederationError('SUDO_REFUSED', 'root deployed this machine', { hint: `sudo ${command}` });
}

/** Throws USAGE where root asks about a machine that only the person has deployed, without root. */
export function refuseAsRoot(facts: Facts, command: string): void {
  const { place, record, person } = facts;
  if (place.scope === 'user' || record !== null || folderIn(facts, ownDeployment(place)) === null) return;
  throw new FederationError('USAGE', `root deployed nothing here; ${person.name} did, for themselves`, {
    hint: `as ${person.name}: ${command} --user`,
  });
}
