import type { Node } from 'jsonc-parser';
import { createScanner, findNodeAtLocation, parseTree } from 'jsonc-parser';

type Words = readonly [string, ...string[]];

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
  return insert(text, map, key, nested(rest, value));
}

/** A JSON text without one key. Nothing else is touched. */
export function withoutValue(text: string, words: Words): string {
  const property = findNodeAtLocation(treeOf(text), [...words])?.parent;
  if (property === undefined) return text;
  const siblings = property.parent?.children ?? [];
  const previous = siblings[siblings.indexOf(property) - 1];
  const start = text.slice(0, property.offset).trimEnd().length;
  const comma = commaAfter(text, endOf(property));
  if (comma !== null) return text.slice(0, start) + text.slice(comma + 1);
  const before = previous === undefined ? null : commaAfter(text, endOf(previous));
  const head = before === null ? text.slice(0, start) : text.slice(0, before) + text.slice(before + 1, start);
  return head + text.slice(endOf(property));
}

function treeOf(text: string): Node {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  if (tree === undefined) throw new Error('no JSON to edit');
  return tree;
}

function insert(text: string, map: Node, key: string, value: unknown): string {
  const close = endOf(map) - 1;
  const inside = text.slice(map.offset + 1, close);
  const last = map.children?.at(-1);
  const outer = indentAt(text, map.offset);
  const indent = last !== undefined && inside.includes('\n') ? indentAt(text, last.offset) : outer + unitOf(text);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const isFlat = last !== undefined && !inside.includes('\n');
  const property = `${JSON.stringify(key)}: ${jsonText(text, value, isFlat ? outer : indent)}`;
  const at = text.slice(0, close).trimEnd().length;
  const comma = last === undefined ? null : commaAfter(text, endOf(last));
  const separated = `${isFlat ? ' ' : eol + indent}${property}${comma === null ? '' : ','}`;
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
