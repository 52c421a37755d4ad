import { join } from 'node:path/posix';
import type { Action, UnitName, UnitState } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { unitIn } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { nodeFolder } from '#src/deploy/plan/node.ts';
import { openclawProgram } from '#src/deploy/plan/openclaw.ts';
import { programOwner } from '#src/deploy/plan/program.ts';
import type { UnitName as OurUnit, UnitValues } from '#src/deploy/unit.ts';
import { renderUnit } from '#src/deploy/unit.ts';

const RUNS: UnitState = { enabled: true, active: true };

/** Units of ours as they are to be: their files, and that they run; `restart` where what they run has changed: a socket runs nothing. */
export function unitActions(facts: Facts, given: Given, names: readonly OurUnit[], restart: boolean): Action[] {
  const { scope } = facts.place;
  const files = needed(facts, unitFiles(facts, given, names));
  const lingers: Action[] = scope === 'user' ? [{ do: 'linger', user: facts.person.name }] : [];
  return [
    ...needed(facts, lingers),
    ...files,
    ...(files.length === 0 ? [] : [{ do: 'reload', scope } as const]),
    ...needed(
      facts,
      names.map((name) => ({
        do: 'unit',
        unit: { name, scope },
        want: RUNS,
        restart: (files.length > 0 || (restart && !name.endsWith('.socket'))) && isRunning(facts, { name, scope }),
      })),
    ),
  ];
}

/** The files of these units, rendered for this machine. */
export function unitFiles(facts: Facts, given: Given, names: readonly OurUnit[]): Action[] {
  const { place } = facts;
  const values = unitValues(facts, given);
  return names.map((name) => ({
    do: 'write',
    path: join(place.units, name),
    mode: 0o644,
    owner: programOwner(facts),
    text: renderUnit(given.unit(name), values),
  }));
}

export function isRunning(facts: Facts, unit: UnitName): boolean {
  return unitIn(facts, unit)?.active === true;
}

function unitValues(facts: Facts, given: Given): UnitValues {
  const { place, person, gateway } = facts;
  const folder = nodeFolder(facts, given);
  return {
    BIN: place.bin,
    PERSON: person.name,
    PERSON_HOME: person.home,
    HUB_USER: place.hubUser ?? person.name,
    HUB_HOME: place.hubHome,
    WORKER_HOME: place.workerHome,
    OPENCLAW: openclawProgram(facts),
    OPENCLAW_STATE: place.openclawState,
    NODE_FOLDER: folder,
    GATEWAY_PORT: String(gateway.port),
    PATH: searchPath(person.home, folder),
  };
}

/** What a login of the person would search, with the Node of ours last: theirs counts for their commands. */
function searchPath(home: string, folder: string): string {
  const usual = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  return [join(home, '.local/bin'), ...usual, ...(usual.includes(folder) ? [] : [folder])].join(':');
}
