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

/** What a word of a selector means: one node, or all that have something in common. */
export type Selector =
  | { readonly kind: 'node'; readonly word: string }
  | { readonly kind: 'group'; readonly group: string }
  /** A label of that name, the label `tag` of that value, or the tailnet's own `tag:…`. */
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'label'; readonly key: string; readonly value: string };

/** What a node is selected by, all of it the operator's or the tailnet's word and none its own. */
export interface Selectable {
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly tailnet: { readonly tags: readonly string[] } | null;
}

/**
 * `@group`, `tags:name`, `key=value`, or else a node's name or id. Throws USAGE for what names nothing, and for what a
 * node says of itself, by which nobody is selected.
 */
export function parseSelector(word: string): Selector {
  if (word.startsWith('@')) return { kind: 'group', group: word.slice(1) };
  const tag = /^tags?:(.*)$/s.exec(word)?.[1];
  if (tag !== undefined) return { kind: 'tag', tag: checked(word, tag) };
  const at = word.indexOf('=');
  if (at === -1) return { kind: 'node', word };
  return { kind: 'label', key: checked(word, word.slice(0, at)), value: word.slice(at + 1) };
}

function checked(word: string, key: string): string {
  if (key.startsWith('self/')) {
    throw new FederationError('USAGE', `${key} is what a node says of itself, and selects nobody`, {
      hint: 'use a label of your own: manage-federation label NODE gpu=yes',
    });
  }
  if (key !== '') return key;
  throw new FederationError('USAGE', `${JSON.stringify(word)} names no label`, { hint: 'tags:gpu, or env=home' });
}

/** Whether a node is among those that have it in common; a single node is found by `findNode`. */
export function isSelected(selector: Exclude<Selector, { kind: 'node' }>, node: Selectable): boolean {
  const { labels, groups, tailnet } = node;
  switch (selector.kind) {
    case 'group':
      return groups.includes(selector.group);
    case 'label':
      return Object.hasOwn(labels, selector.key) && labels[selector.key] === selector.value;
    case 'tag': {
      const { tag } = selector;
      const isLabel = Object.hasOwn(labels, tag) || (Object.hasOwn(labels, 'tag') && labels['tag'] === tag);
      return isLabel || (tailnet?.tags.includes(`tag:${tag}`) ?? false);
    }
  }
}
