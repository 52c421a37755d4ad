import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Named, Selector } from '#src/core/selector.ts';
import { findNode, isSelected, parseSelector } from '#src/core/selector.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';

export interface Targets {
  readonly targets: readonly Member[];
  /** Those that `all`, a group or a label would mean, were they online and not drained. */
  readonly leftOut: readonly Member[];
}

/**
 * The members that a person's words mean: names and ids as they are, `@group`, `tags:name` and `key=value` those that have
 * it in common, `all` every worker and hybrid; of all but the first only who is online and not drained.
 * Throws NODE_NOT_FOUND, NODE_AMBIGUOUS, NOTHING_MATCHED, or USAGE.
 */
export function chooseTargets(
  members: readonly Member[],
  wanted: readonly string[] | 'all',
  fleet: Fleet,
  waiting: () => readonly JudgedRequest[],
): Targets {
  const standing = members.filter(({ revokedAt }) => revokedAt === null).toSorted(byName);
  const selectors = wanted === 'all' ? [] : wanted.map(parseSelector);
  const named = selectors.flatMap((one) => (one.kind === 'node' ? [findMember(members, waiting, one.word)] : []));
  const meant =
    wanted === 'all'
      ? standing.filter(({ role }) => role !== 'master')
      : selectors.flatMap((one) => (one.kind === 'node' ? [] : commonTo(standing, one)));
  const ready = meant.filter((member) => !member.drained && fleet.link(member.id) !== undefined);
  const targets = [...new Set([...named, ...ready])];
  if (targets.length === 0) throw nothing(wanted, meant);
  return { targets, leftOut: [...new Set(meant)].filter((member) => !targets.includes(member)) };
}

type Common = Exclude<Selector, { kind: 'node' }>;

function commonTo(members: readonly Member[], selector: Common): readonly Member[] {
  const found = members.filter((member) => isSelected(selector, member));
  if (found.length === 0) throw nobodyHas(members, selector);
  return found;
}

function nobodyHas(members: readonly Member[], selector: Common): FederationError {
  if (selector.kind === 'group') {
    const known = someOf(members.flatMap(({ groups }) => groups));
    return new FederationError('NODE_NOT_FOUND', `no node is in a group ${JSON.stringify(selector.group)}`, {
      hint: known === '' ? 'manage-federation group add GROUP NODE' : `manage-federation group (known: ${known})`,
    });
  }
  const label = selector.kind === 'tag' ? selector.tag : `${selector.key}=${selector.value}`;
  const known = someOf(
    members.flatMap(({ labels }) => Object.entries(labels).map(([key, value]) => `${key}=${value}`)),
  );
  return new FederationError('NODE_NOT_FOUND', `no node has the label ${JSON.stringify(label)}`, {
    hint: known === '' ? 'manage-federation label NODE KEY=VALUE' : `manage-federation list (known: ${known})`,
  });
}

function someOf(words: readonly string[]): string {
  return [...new Set(words)].toSorted().slice(0, 8).join(', ');
}

function nothing(wanted: readonly string[] | 'all', meant: readonly Member[]): FederationError {
  const what = wanted === 'all' ? 'worker or hybrid' : `node of ${wanted.join(', ')}`;
  const drained = meant.filter((member) => member.drained).map(({ name }) => name);
  if (drained.length === 0) {
    return new FederationError('NOTHING_MATCHED', `no ${what} is online`, { hint: 'manage-federation list' });
  }
  return new FederationError('NOTHING_MATCHED', `no ${what} is online and not drained`, {
    hint: `manage-federation undrain ${drained.slice(0, 8).join(' ')}`,
  });
}

/**
 * The one member that a word means. Throws NODE_AMBIGUOUS, or NODE_NOT_FOUND, which tells of a node of that name that
 * is no member.
 */
export function findMember(members: readonly Member[], waiting: () => readonly JudgedRequest[], word: string): Member {
  try {
    return findNode(members.filter(({ revokedAt }) => revokedAt === null).toSorted(byName), word);
  } catch (error) {
    if (!(error instanceof FederationError) || error.code !== 'NODE_NOT_FOUND') throw error;
    // Looked at only here: it may be a long list, and a command that finds its node is not to wait for it.
    throw notAdmitted(members, waiting(), word) ?? error;
  }
}

function notAdmitted(
  members: readonly Member[],
  requests: readonly JudgedRequest[],
  word: string,
): FederationError | null {
  const request = requests.map((asked) => asked.request).find((one) => isMeant(one, word));
  const how = request?.rejected === true ? 'was rejected' : 'waits for approval';
  const revoked = members.find((member) => member.revokedAt !== null && isMeant(member, word));
  const name = request?.name ?? revoked?.name;
  if (name === undefined) return null;
  return new FederationError('NODE_NOT_FOUND', `${name} ${request === undefined ? 'was revoked' : how}`, {
    hint: `manage-federation approve ${request === undefined && revoked !== undefined ? fingerprint(revoked.id) : word}`,
  });
}

/** Whether findNode would take `word` for this node. */
export function isMeant(node: Named, word: string): boolean {
  try {
    return findNode([node], word) === node;
  } catch {
    return false;
  }
}

function byName(a: Member, b: Member): number {
  return a.name.localeCompare(b.name, 'en', { numeric: true });
}
