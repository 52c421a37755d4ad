import type { HubAddress } from '#src/core/hub-address.ts';
import { parseHubAddress } from '#src/core/hub-address.ts';
import { peerNamed } from '#src/core/peer.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { SettingsReading } from '#src/deploy/doctor/settings.ts';
import { readSettings } from '#src/deploy/doctor/settings.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { hubOf } from '#src/deploy/plan/worker.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

export interface HomeOf {
  readonly path: string;
  /** Its settings. */
  readonly file: string;
  /** Whose it is to be. */
  readonly owner: string;
  readonly settings: SettingsReading;
}

/** What is to be there, as the record and the settings have it. */
export interface Deployed {
  readonly wanted: Wanted;
  readonly isMaster: boolean;
  readonly worker: HomeOf;
  /** Null where no hub belongs here. */
  readonly master: HomeOf | null;
  readonly homes: readonly HomeOf[];
  /** Where this machine's worker daemon dials. */
  readonly hub: HubAddress;
  /** Tailnet addresses of that host. */
  readonly hubAddresses: readonly string[];
  /** Ours, as they were written. */
  readonly units: readonly UnitName[];
}

/** Null where nothing of ours is there. */
export function deployedOn(facts: Facts): Deployed | null {
  const { record, place, person } = facts;
  if (record === null || record.state === 'kept') return null;
  const { wanted } = record;
  const isMaster = wanted.role === 'master';
  const worker = homeOf(facts, place.workerHome, place.workerSettings, person.name);
  const master = isMaster ? homeOf(facts, place.hubHome, place.hubSettings, place.hubUser ?? person.name) : null;
  const hub = parseHubAddress(worker.settings.settings?.worker.hub ?? '') ?? hubOf(facts, wanted);
  return {
    wanted,
    isMaster,
    worker,
    master,
    homes: master === null ? [worker] : [master, worker],
    hub,
    hubAddresses: peerNamed(facts.tailscale.peers, hub.host)?.addresses ?? [],
    units: unitsOf(facts),
  };
}

function homeOf(facts: Facts, path: string, file: string, owner: string): HomeOf {
  return { path, file, owner, settings: readSettings(fileIn(facts, file)?.text ?? '') };
}

/** The units whose files a deployment wrote, as far as this version knows them. */
function unitsOf({ record, place, files }: Facts): UnitName[] {
  const paths = (record?.entries ?? []).flatMap(({ action }) => (action.do === 'write' ? [action.path] : []));
  const names = paths
    .filter((path) => files.has(path) && path.startsWith(`${place.units}/`))
    .map((path) => path.slice(place.units.length + 1));
  return [...new Set(names)].filter((name) => !name.includes('/')).map((name) => ({ name, scope: place.scope }));
}
