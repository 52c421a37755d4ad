import { z } from 'zod';
import type { Machine, Person } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Answers } from '#src/deploy/gathering/answers.ts';
import { count, flag, word } from '#src/deploy/gathering/answers.ts';

const machineSchema = z.object({
  hostname: word,
  platform: word,
  arch: word,
  bits: word,
  libc: word.pipe(z.enum(['glibc', 'musl'])),
  clock: count,
  booted: flag,
});

/** What a machine is, but for what depends on the place. */
export function machineOf(answers: Answers): {
  readonly machine: Omit<Facts['machine'], 'freeBytes'>;
  readonly systemd: Pick<Facts['systemd'], 'system'>;
} {
  const found = answers.to(['machine'], machineSchema);
  return {
    machine: {
      hostname: found.hostname,
      platform: found.platform.toLowerCase(),
      arch: architecture(found.arch, found.bits),
      libc: found.libc,
      clock: found.clock * 1000,
    },
    systemd: { system: found.booted },
  };
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64' };

/** A Raspberry Pi may run programs of 32 bits under a kernel of 64: no Node that we have starts there. */
function architecture(machine: string, bits: string): string {
  const arch = ARCHITECTURES[machine] ?? machine;
  if (bits !== '32') return arch;
  return { x64: 'ia32', arm64: 'arm' }[arch] ?? arch;
}

const loginSchema = z.object({
  name: word,
  uid: count,
  sudo: flag,
  bySudo: flag,
  address: word.optional(),
});

export interface Login {
  readonly name: string;
  readonly root: boolean;
  /** It can become root without being asked for a password. */
  readonly sudo: boolean;
  /** It is root by sudo, and what the person types next is not. */
  readonly bySudo: boolean;
  /** Address of the machine by which ssh came to it; null where nobody came by ssh. */
  readonly address: string | null;
}

export function loginOf(answers: Answers): Login {
  const { name, uid, sudo, bySudo, address } = answers.to(['login'], loginSchema);
  return { name, root: uid === 0, sudo, bySudo, address: address || null };
}

const personSchema = z.object({ passwd: word, group: word, linger: flag });

/** Name of a user, as `useradd` lets one have it. */
const USER_NAME = /^[a-z_][a-z0-9_.-]*\$?$/i;

/** Throws USAGE unless it can be a user’s name. */
export function checkUserName(name: string): void {
  if (!USER_NAME.test(name)) throw noSuchUser(name, 'a machine');
}

export interface PersonFound {
  readonly person: Person;
  readonly shell: string;
  readonly linger: boolean;
}

/** The user `name`; null: who deploys. Throws USAGE where there is none. */
export function personOf(answers: Answers, machine: Machine, name: string | null): PersonFound {
  const { passwd, group, linger } = answers.to(['person', name ?? ''], personSchema);
  const [user = '', , uid = '', gid, , home = '', shell = ''] = passwd.split(':');
  if (name !== null && user === '') throw noSuchUser(name, machine.name);
  if (!home.startsWith('/') || !/^\d+$/.test(uid)) {
    throw new FederationError('MACHINE_UNSUPPORTED', `${user || 'who deploys'} has no home on ${machine.name}`, {
      hint: 'choose another user: --run-as USER',
    });
  }
  const person = { name: user, uid: Number(uid), group: group.split(':')[0] || gid || '', home };
  return { person, shell: shell || '/bin/sh', linger };
}

/** Whether the user database of a machine has this name. */
export function hasUser(answers: Answers, name: string): boolean {
  return answers.to(['person', name], personSchema).passwd !== '';
}

function noSuchUser(name: string, where: string): FederationError {
  return new FederationError('USAGE', `there is no user ${JSON.stringify(name)} on ${where}`, {
    hint: 'name one that getent passwd lists: --run-as USER',
  });
}
