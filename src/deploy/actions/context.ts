import type { Files } from '#src/adapters/machine/files.ts';
import { filesOf } from '#src/adapters/machine/files.ts';
import type { Command, Machine, Person } from '#src/adapters/machine/machine.ts';
import { perform } from '#src/adapters/machine/perform.ts';
import type { Role } from '#src/core/node.ts';
import type { Owner } from '#src/deploy/action.ts';
import type { Place } from '#src/deploy/place.ts';

/** What doing an action takes besides the action itself. */
export interface Context {
  readonly machine: Machine;
  readonly place: Place;
  readonly person: Person;
  /** The join token that the person gave; null where they gave none. */
  readonly joinToken: string | null;
  /** A fresh join token of the master that this runs on. */
  readonly mint: (wanted: { readonly role: Role; readonly name: string }) => Promise<string>;
  /** A line for the person, while it goes on. */
  readonly progress: (line: string) => void;
  /** Folder of this package on the machine that deploys. */
  readonly packageFolder: string;
  readonly signal: AbortSignal;
}

/** Whose files these are: what belongs to a user is changed as that user, who could lead root astray in their folders. */
export async function userOf({ machine, place, person, signal }: Context, owner: Owner): Promise<'root' | Person> {
  if (owner === 'root') return 'root';
  const { hubUser } = place;
  if (owner === 'person' || hubUser === null) return person;
  return findUser(machine, hubUser, place.hubHome, signal);
}

async function findUser(machine: Machine, name: string, home: string, signal: AbortSignal): Promise<Person> {
  const command: Command = {
    argv: ['sh', '-euc', 'id -u -- "$1"; id -gn -- "$1"', 'sh', name],
    as: 'login',
    signal,
  };
  const { stdout } = await perform(machine, command, { what: `find the user ${name}` });
  const [uid, group = name] = stdout.trim().split('\n');
  return { name, uid: Number(uid), group, home };
}

export async function filesAs(context: Context, owner: Owner): Promise<Files> {
  return filesOf(context.machine, await userOf(context, owner), context.signal);
}

/** What deploy remembers belongs to root where it had root. */
export function keeperOf({ scope }: Place): Owner {
  return scope === 'system' ? 'root' : 'person';
}

/** How the system calls them. */
export function ownerName({ place, person }: Pick<Context, 'place' | 'person'>, owner: Owner): string {
  if (owner === 'root') return 'root';
  return owner === 'person' ? person.name : (place.hubUser ?? person.name);
}
