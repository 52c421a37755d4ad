import type { Node } from 'jsonc-parser';
import { createScanner, findNodeAtLocation, parseTree } from 'jsonc-parser';

type Words = readonly [string, ...string[]];
/** Where a list is, and a place in it. */
type ItemWords = readonly [...Words, number];

/**
 * A JSON text with one value set; maps on the way to it are made. Nothing else is touched: no indentation, no comment,
 * and a comma at the end is kept where the person writes one. The text must be a JSON map, comments allowed.
 */
export function withValue(text: string, words: Words, value: unknown): string {
  const root = treeOf(text);
  const found = findNodeAtLocation(root, [...words]);
  if (found !== undefined) {
    const { offset, length } = found;
    return text.slice(0, offset) + jsonText(text, value, indentAt(text, offset)) + text.slice(offset + length);
  }
  const depth = words.findLastIndex((_word, at) => findNodeAtLocation(root, words.slice(0, at)) !== undefined);
  const map = findNodeAtLocation(root, words.slice(0, depth)) ?? root;
  const [key = '', ...rest] = words.slice(depth);
  return insert(text, map, { key, value: nested(rest, value) });
}

/** A JSON text with one value more at the end of a list that is in it. Nothing else is touched. */
export function withItem(text: string, words: Words, value: unknown): string {
  const list = findNodeAtLocation(treeOf(text), [...words]);
  return list === undefined ? text : insert(text, list, { key: null, value });
}

/** A JSON text without one key, or one value of a list. Nothing else is touched. */
export function withoutValue(text: string, words: Words | ItemWords): string {
  const found = findNodeAtLocation(treeOf(text), [...words]);
  if (found === undefined) return text;
  const item = found.parent?.type === 'property' ? found.parent : found;
  const siblings = item.parent?.children ?? [];
  const previous = siblings[siblings.indexOf(item) - 1];
  const start = text.slice(0, item.offset).trimEnd().length;
  const comma = commaAfter(text, endOf(item));
  if (comma !== null) return text.slice(0, start) + text.slice(comma + 1);
  const before = previous === undefined ? null : commaAfter(text, endOf(previous));
  const head = before === null ? text.slice(0, start) : text.slice(0, before) + text.slice(before + 1, start);
  return head + text.slice(endOf(item));
}

function treeOf(text: string): Node {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  if (tree === undefined) throw new Error('no JSON to edit');
  return tree;
}

/** What a map or, without a key, a list gets. */
interface Item {
  readonly key: string | null;
  readonly value: unknown;
}

function insert(text: string, holder: Node, { key, value }: Item): string {
  const close = endOf(holder) - 1;
  const inside = text.slice(holder.offset + 1, close);
  const last = holder.children?.at(-1);
  const outer = indentAt(text, holder.offset);
  const indent = last !== undefined && inside.includes('\n') ? indentAt(text, last.offset) : outer + unitOf(text);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const isFlat = last !== undefined && !inside.includes('\n');
  const json = jsonText(text, value, isFlat ? outer : indent);
  const item = key === null ? json : `${JSON.stringify(key)}: ${json}`;
  const at = text.slice(0, close).trimEnd().length;
  const comma = last === undefined ? null : commaAfter(text, endOf(last));
  const separated = `${isFlat ? ' ' : eol + indent}${item}${comma === null ? '' : ','}`;
  const closing = inside.includes('\n') || isFlat ? '' : eol + outer;
  const tail = separated + closing + text.slice(closing === '' ? at : close);
  if (last === undefined || comma !== null) return text.slice(0, at) + tail;
  return `${text.slice(0, endOf(last))},${text.slice(endOf(last), at)}${tail}`;
}

function nested(words: readonly string[], value: unknown): unknown {
  return words.reduceRight<unknown>((inner, word) => ({ [word]: inner }), value);
}

function jsonText(text: string, value: unknown, indent: string): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  return JSON.stringify(value, null, unitOf(text)).replaceAll('\n', eol + indent);
}

/** As the person indents. */
function unitOf(text: string): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
}

function indentAt(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(text.lastIndexOf('\n', offset - 1) + 1))?.[0] ?? '';
}

function endOf({ offset, length }: Node): number {
  return offset + length;
}

/** Where the comma is that follows, with comments between; null where there is none. */
function commaAfter(text: string, offset: number): number | null {
  const scanner = createScanner(text, true);
  scanner.setPosition(offset);
  scanner.scan();
  const at = scanner.getTokenOffset();
  return text[at] === ',' ? at : null;
}
