import { dirname, join } from 'node:path/posix';
import type { Person } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import { WORKER_RECORD_FILE } from '#src/core/worker-record.ts';
import type { Inquiry, Question } from '#src/deploy/gathering/answers.ts';
import type { Login } from '#src/deploy/gathering/machine.ts';
import { unitQuestions, UNITS } from '#src/deploy/gathering/units.ts';
import type { Place } from '#src/deploy/place.ts';
import { COMMANDS, ownDeployment, SYSTEM_PREFIX } from '#src/deploy/place.ts';

/** Files that a plan may write or has to know. */
export function filesOf(place: Place): string[] {
  return [
    ...UNITS.map((name) => join(place.units, name)),
    place.hubSettings,
    place.gatewayToken,
    place.policyExample,
    place.workerSettings,
    place.hubPin,
    join(place.commands, 'openclaw'),
    place.openclawSettings,
    place.telegramToken,
  ];
}

export function foldersOf(place: Place): string[] {
  const { prefix, openclaw, record, backups, commands, units, hubHome, workerHome, openclawState } = place;
  const folders = [prefix, openclaw, dirname(record), backups, commands, units, hubHome, workerHome, openclawState];
  // That of the other scope tells whose deployment there is.
  return [...folders, place.openclawPluginSkills, prefix === SYSTEM_PREFIX ? ownDeployment(place) : SYSTEM_PREFIX];
}

export function linksOf({ current, commands }: Place): string[] {
  return [current, ...COMMANDS.map((command) => join(commands, command))];
}

export function programsQuestion({ openclaw }: Place, shell: string): Question {
  return ['programs', shell, openclaw];
}

/**
 * Who has to look at what. What is the person’s is looked at in their name: a link in their home must not show them
 * what root alone can read. Throws USAGE for somebody else’s without root.
 */
export function inquiriesFor(place: Place, login: Login, person: Person, shell: string): Inquiry[] {
  const asPerson = login.name === person.name ? 'login' : person;
  const paths: (readonly [Question[0] & ('file' | 'daemon' | 'folder' | 'link'), string])[] = [
    ...filesOf(place).map((path) => ['file', path] as const),
    ['daemon', join(place.workerHome, WORKER_RECORD_FILE)],
    ...foldersOf(place).map((path) => ['folder', path] as const),
    ...linksOf(place).map((path) => ['link', path] as const),
  ];
  const ofMachine: Question[] = [
    ['free', place.prefix],
    ['ports'],
    ['tailscale'],
    ...unitQuestions('system'),
    ...(place.hubUser === null ? [] : [['person', place.hubUser] as const]),
  ];
  const ofPerson: Question[] = [...unitQuestions('user'), programsQuestion(place, shell)];
  if (place.scope === 'user') {
    if (asPerson !== 'login' && !login.root) throw rootNeeded(person.name);
    return [{ as: asPerson, questions: [...paths, ...ofMachine, ...ofPerson] }];
  }
  const isPersons = ([, path]: readonly [unknown, string]): boolean => path.startsWith(`${person.home}/`);
  return [
    { as: 'root', questions: [...paths.filter((asked) => !isPersons(asked)), ...ofMachine] },
    { as: asPerson, questions: [...paths.filter(isPersons), ...ofPerson] },
  ];
}

function rootNeeded(user: string): FederationError {
  return new FederationError('USAGE', `only root can deploy for another user (${user})`, {
    hint: 'deploy with sudo, or without --run-as',
  });
}
