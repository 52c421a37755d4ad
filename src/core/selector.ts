import { FederationError } from '#src/core/errors.ts';

export interface Named {
  readonly id: string;
  /** Of its key, where `id` is of something else; its beginning names it too. */
  readonly keyId?: string;
  readonly name: string;
}

/** Hexadecimal digits of the shortest beginning of an id that may stand for it. */
const MIN_PREFIX = 4;

/**
 * The one node that `word` names: its name, its id, or a unique prefix of the id. `what` says what they are where they
 * are no nodes.
 * Throws NODE_NOT_FOUND, or NODE_AMBIGUOUS with every candidate: a machine is never guessed.
 */
export function findNode<T extends Named>(nodes: readonly T[], word: string, what = 'nodes'): T {
  const found = candidates(nodes, word);
  const [first, ...others] = found;
  if (first === undefined) throw notFound(nodes, word);
  if (others.length === 0) return first;
  throw new FederationError(
    'NODE_AMBIGUOUS',
    `${JSON.stringify(word)} names ${found.length} ${what}: ${found.map(withId).join(', ')}`,
    { hint: `use the id: ${found.map((node) => node.id.slice(0, 12)).join(' or ')}` },
  );
}

function withId({ name, id }: Named): string {
  return name === '' ? id.slice(0, 12) : `${name} (${id.slice(0, 12)})`;
}

/** A name never hides an id: where one node's name is the beginning of another's id, both are meant. */
function candidates<T extends Named>(nodes: readonly T[], word: string): T[] {
  const prefix = word.replaceAll('-', '').toLowerCase();
  const isPrefix = prefix.length >= MIN_PREFIX && /^[0-9a-f]+$/.test(prefix);
  return nodes.filter((node) => node.name === word || (isPrefix && begins(node, prefix)));
}

function begins({ id, keyId = id }: Named, prefix: string): boolean {
  return id.startsWith(prefix) || keyId.startsWith(prefix);
}

/** What to say of a word that names nothing: `otherwise`, unless it begins an id and is only too short for one. */
export function missText(nodes: readonly Named[], word: string, otherwise: string): string {
  const prefix = word.replaceAll('-', '').toLowerCase();
  const isShort = prefix !== '' && prefix.length < MIN_PREFIX && nodes.some((node) => begins(node, prefix));
  return isShort ? `${JSON.stringify(word)} is too short: of an id it takes ${MIN_PREFIX} digits or more` : otherwise;
}

function notFound(nodes: readonly Named[], word: string): FederationError {
  const near = nearName(nodes, word);
  const known = nodes.slice(0, 8).map((node) => node.name);
  return new FederationError('NODE_NOT_FOUND', missText(nodes, word, `no node is named ${JSON.stringify(word)}`), {
    hint:
      near !== null
        ? `did you mean ${near}?`
        : `manage-federation list${known.length > 0 ? ` (known: ${known.join(', ')})` : ''}`,
  });
}

/** The name that may be meant by one that nothing has; null where none is near. */
export function nearName(nodes: readonly Named[], word: string): string | null {
  return nodes.find((node) => distanceIsSmall(node.name, word))?.name ?? null;
}

/** One typing mistake apart: a letter changed, added, dropped, or two swapped. */
function distanceIsSmall(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || a === '') return false;
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const left = a.slice(start, a.length - end);
  const right = b.slice(start, b.length - end);
  const swapped = left.length === 2 && right === `${left[1]}${left[0]}`;
  return swapped || (left.length <= 1 && right.length <= 1);
}
