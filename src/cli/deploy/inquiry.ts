import { earlierWish } from '#src/cli/deploy/earlier-wish.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { Deployment } from '#src/cli/deploy/tools.ts';
import { noticed } from '#src/cli/deploy/notice.ts';
import type { OwnHub } from '#src/cli/deploy/own-hub.ts';
import { resumeText } from '#src/cli/deploy/resume-text.ts';
import { wantedOf } from '#src/cli/deploy/wanted.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Scope } from '#src/deploy/place.ts';
import { refuseWithoutRoot } from '#src/deploy/root-deployment.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

export interface Inquired {
  readonly facts: Facts;
  readonly wanted: Wanted;
}

/** How the machine stands and what is to be: by the flags, or as it was begun. Throws USAGE, ROLE_DIFFERS. */
export async function inquire(deployment: Deployment, hub: OwnHub | null): Promise<Inquired> {
  const { flags } = deployment;
  const facts = await look(deployment, flags.runAs ?? null);
  // Where it stopped before anything was changed, nothing is remembered: the same words once more are all it takes.
  const isSaidAgain = begun(facts) === null && (deployment.role === 'master' || deployment.master !== null);
  if (flags.resume === true && !isSaidAgain) return resumed(facts, deployment, hub);
  return { facts, wanted: asked(facts, deployment, hub) };
}

/** What is kept of an earlier deployment is not to be gone on with. */
function begun({ record }: Facts): Facts['record'] {
  return record?.state === 'kept' ? null : record;
}

export function look({ machine, flags, tools, signal }: Deployment, runAs: string | null): Promise<Facts> {
  const gathering = tools.gather(machine, { scope: scopeOf(flags), runAs }, signal);
  return noticed(`looking at ${machine.name}`, gathering, flags.json === true);
}

/** Null: as fits the machine. */
export function scopeOf({ system, user }: DeployFlags): Scope | null {
  if (system === true) return 'system';
  return user === true ? 'user' : null;
}

function asked(facts: Facts, deployment: Deployment, hub: OwnHub | null): Wanted {
  const { role, token, flags } = deployment;
  const { place, person } = facts;
  const master = role === 'master' ? null : masterFor(deployment, hub);
  const isMinted = token === null && master !== null && hub?.isAt(master) === true;
  return wantedOf({
    ...{ role, master, flags, before: earlierWish(facts, role, flags) },
    ...whose(place, person),
    token: token === null ? (isMinted ? 'minted' : null) : 'given',
  });
}

/** The one that was named, else this machine itself, which deploys another one. */
function masterFor({ master, role, flags }: Deployment, hub: OwnHub | null): HubAddress {
  if (master !== null) return master;
  const own = hub?.address ?? null;
  if (own !== null) return own;
  const why = hub === null ? 'no hub answers on this machine' : 'the hub of this machine listens on loopback only';
  throw new FederationError('USAGE', `which master? ${why}`, {
    hint: `deploy-federation ${role} vps --ssh ${flags.ssh}`,
  });
}

function resumed(facts: Facts, deployment: Deployment, hub: OwnHub | null): Inquired {
  const { machine, role, master, token, flags } = deployment;
  const before = begun(facts)?.wanted;
  if (before === undefined) {
    refuseWithoutRoot(facts, resumeText(role, flags, master));
    throw new FederationError('USAGE', `nothing was begun on ${machine.name}`, {
      hint: `deploy-federation ${role} --help`,
    });
  }
  if (before.role !== role) {
    throw new FederationError('ROLE_DIFFERS', `what was begun there is a ${before.role}`, {
      hint: resumeText(before.role, flags, master),
    });
  }
  // What another machine says was wanted may be made up: it must name no file of this one, no place to go to, and be
  // let in by nothing that was not said here.
  if (flags.ssh !== undefined) return { facts, wanted: asked(facts, deployment, hub) };
  const wanted = wantedOf({
    ...{ role, flags, before },
    master: role === 'master' ? null : (master ?? before.master),
    ...whose(facts.place, facts.person),
    token: token === null ? before.token : 'given',
  });
  return { facts, wanted };
}

/** By name, so that whoever is root the next time finds the same person’s worker. */
function whose({ scope }: Facts['place'], { name }: Facts['person']): Pick<Wanted, 'scope' | 'runAs'> {
  return { scope, runAs: scope === 'system' ? name : null };
}
