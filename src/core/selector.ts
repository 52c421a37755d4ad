import { FederationError } from '#src/core/errors.ts';

export interface Named {
  readonly id: string;
  /** Of its key, where `id` is of something else; its beginning names it too. */
  readonly keyId?: string;
  readonly name: string;
}

/** Shortest id prefix that may stand for a node. */
const MIN_PREFIX = 6;

/**
 * The one node that `word` names: its name, its id, or a unique prefix of the id.
 * Throws NODE_NOT_FOUND, or NODE_AMBIGUOUS with every candidate: a machine is never guessed.
 */
export function findNode<T extends Named>(nodes: readonly T[], word: string): T {
  const found = candidates(nodes, word);
  const [first, ...others] = found;
  if (first === undefined) throw notFound(nodes, word);
  if (others.length === 0) return first;
  throw new FederationError(
    'NODE_AMBIGUOUS',
    `${JSON.stringify(word)} names ${found.length} nodes: ${found.map((node) => `${node.name} (${node.id.slice(0, 12)})`).join(', ')}`,
    { hint: `use the id: ${found.map((node) => node.id.slice(0, 12)).join(' or ')}` },
  );
}

/** A name never hides an id: where one node's name is the beginning of another's id, both are meant. */
function candidates<T extends Named>(nodes: readonly T[], word: string): T[] {
  const prefix = word.replaceAll('-', '').toLowerCase();
  const isPrefix = prefix.length >= MIN_PREFIX && /^[0-9a-f]+$/.test(prefix);
  const begins = ({ id, keyId = id }: Named) => id.startsWith(prefix) || keyId.startsWith(prefix);
  return nodes.filter((node) => node.name === word || (isPrefix && begins(node)));
}

function notFound(nodes: readonly Named[], word: string): FederationError {
  const near = nearName(nodes, word);
  const known = nodes.slice(0, 8).map((node) => node.name);
  return new FederationError('NODE_NOT_FOUND', `no node is named ${JSON.stringify(word)}`, {
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
