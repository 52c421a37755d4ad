import { isDeepStrictEqual } from 'node:util';
import type { ParseError } from 'jsonc-parser';
import { parse, printParseErrorCode } from 'jsonc-parser';
import { FederationError } from '#src/core/errors.ts';
import { withItem, withoutValue, withValue } from '#src/deploy/actions/json-edit.ts';
import { isMap, valueIn } from '#src/deploy/settings-value.ts';

type Values = Readonly<Record<string, unknown>>;

/**
 * A JSON text, which may have comments and trailing commas, with these values at their dotted paths; all else stays
 * as it is written. Throws SETTINGS_INVALID where the text is something else, naming it as `path`.
 */
export function mergedText(path: string, text: string | null, values: Values): string {
  const invalid = (problem: string): FederationError =>
    new FederationError('SETTINGS_INVALID', `${path} can’t be merged with: ${problem}`, {
      hint: `mend it, or set these keys by hand: ${Object.keys(values).join(', ')}`,
    });
  const start = text === null || text.trim() === '' ? '{}\n' : text;
  const settings = parseSettings(start, invalid);
  let merged = start;
  for (const [key, value] of Object.entries(values)) {
    const words = wordsOf(key);
    if (isDeepStrictEqual(valueIn(settings, words), value)) continue;
    const stranger = words.findIndex((_word, at) => !canHold(valueIn(settings, words.slice(0, at))));
    if (stranger !== -1) throw invalid(`${words.slice(0, stranger).join('.') || 'it'} is no map`);
    merged = withNew(merged, words, value);
    // Where a key stands twice, the one that counts is not the one that is edited.
    if (!isDeepStrictEqual(valueIn(parse(merged, [], LENIENT), words), value))
      throw invalid(`${key} stands in it twice`);
  }
  return merged;
}

export interface Unmerging {
  /** The text as it is now, and before the first merge; null: there was none. */
  readonly now: string;
  readonly original: string | null;
  /** What we have set; undefined where the value is not known any more. */
  readonly values: Values;
}

/**
 * Takes our values back to what they were; one that is another by now is a person's, but for what we have put into a
 * list. Null: nothing else is in it.
 */
export function unmergedText({ now, original, values }: Unmerging): string | null {
  const before: unknown = original === null ? undefined : parse(original, [], LENIENT);
  let text = now;
  for (const [key, value] of Object.entries(values)) {
    const words = wordsOf(key);
    const found = valueIn(parse(text, [], LENIENT), words);
    if (found === undefined) continue;
    const earlier = valueIn(before, words);
    const isOurs = value === undefined || isDeepStrictEqual(found, value);
    if (isOurs) text = earlier === undefined ? withoutKey(text, words, before) : withNew(text, words, earlier);
    else if (Array.isArray(found) && Array.isArray(value)) {
      const kept = Array.isArray(earlier) ? earlier : [];
      const ours = value.filter((item) => !holds(kept, item));
      const left = found.filter((item) => !holds(ours, item));
      text = left.length === 0 && earlier === undefined ? withoutKey(text, words, before) : withNew(text, words, left);
    }
  }
  const isEmpty = isDeepStrictEqual(parse(text, [], LENIENT), {});
  return original === null && isEmpty ? null : text;
}

const LENIENT = { allowTrailingComma: true, allowEmptyContent: true };

function parseSettings(text: string, invalid: (problem: string) => FederationError): unknown {
  const errors: ParseError[] = [];
  const settings: unknown = parse(text, errors, LENIENT);
  const [error] = errors;
  if (error !== undefined) throw invalid(`${printParseErrorCode(error.error)} at character ${error.offset}`);
  return settings;
}

/** A list stays the one that it is, with its comments: only what is not in both is taken out of it or put into it. */
function withNew(text: string, words: readonly [string, ...string[]], value: unknown): string {
  const found = valueIn(parse(text, [], LENIENT), words);
  if (!Array.isArray(found) || !Array.isArray(value) || found.length === 0) return withValue(text, words, value);
  const fewer = found.reduceRight<string>(
    (less, item, at) => (holds(value, item) ? less : withoutValue(less, [...words, at])),
    text,
  );
  const next = value
    .filter((item) => !holds(found, item))
    .reduce<string>((more, item) => withItem(more, words, item), fewer);
  // In another order, or with one twice.
  return isDeepStrictEqual(valueIn(parse(next, [], LENIENT), words), value) ? next : withValue(text, words, value);
}

function holds(list: readonly unknown[], item: unknown): boolean {
  return list.some((one) => isDeepStrictEqual(one, item));
}

/** Maps that were made for a value of ours go with it. */
function withoutKey(text: string, words: readonly [string, ...string[]], before: unknown): string {
  const without = withoutValue(text, words);
  const [first, ...rest] = words.slice(0, -1);
  if (first === undefined || valueIn(before, [first, ...rest]) !== undefined) return without;
  const isEmpty = isDeepStrictEqual(valueIn(parse(without, [], LENIENT), [first, ...rest]), {});
  return isEmpty ? withoutKey(without, [first, ...rest], before) : without;
}

function wordsOf(key: string): [string, ...string[]] {
  const [first = '', ...rest] = key.split('.');
  return [first, ...rest];
}

function canHold(value: unknown): boolean {
  return value === undefined || isMap(value);
}
