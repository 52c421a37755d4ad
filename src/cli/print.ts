import Table from 'cli-table3';
import { harmless, harmlessJson } from '#src/adapters/terminal.ts';
import { widthOf, wrapped } from '#src/cli/deploy/wrap.ts';

const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/**
 * Results for a person: columns under their heads, on standard output, a line each. On a terminal they fit its width;
 * elsewhere nothing is shortened.
 */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  process.stdout.write(`${tableLines(head, rows).join('\n')}\n`);
}

/** One row of a table, and sentences that belong to it. */
export interface Entry {
  readonly row: readonly string[];
  readonly notes: readonly string[];
}

const NOTE_MARK = '    ';

/** As `printTable`; the notes of a row stand below it, whole, on as many lines as they take. */
export function printEntries(head: readonly string[], entries: readonly Entry[]): void {
  const [first = '', ...rows] = tableLines(
    head,
    entries.map(({ row }) => row),
  );
  const lines = entries.flatMap(({ notes }, at) => [
    rows[at] ?? '',
    ...notes.flatMap((note) => wrapped(NOTE_MARK, oneLine(note), widthOf(process.stdout))),
  ]);
  process.stdout.write(`${[first, ...lines].join('\n')}\n`);
}

/** The line of the heads, and one for each row. */
function tableLines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const texts = rows.map((row) => row.map(oneLine));
  const colWidths = fittingWidths([head, ...texts], widthOf(process.stdout));
  const shown = (row: readonly string[]): string[] => row.slice(0, colWidths.length);
  const table = new Table({
    head: shown(head),
    colWidths,
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...texts.map(shown));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** Words of others in a line of ours. */
function oneLine(text: string): string {
  return harmless(text.replace(/\s+/g, ' '));
}

/** What is wider than an id, a time or a fingerprint is text, and its beginning still says something. */
const MIN_TEXT = 26;
const MIN_CUT = 10;

/** How wide each column may be: the widest text gives way first, then the last column goes. Null: as wide as it is. */
function fittingWidths(rows: readonly (readonly string[])[], room: number): (number | null)[] {
  const full = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  let widths = full;
  const gap = PLAIN.middle.length;
  const over = (): number => widths.reduce((sum, width) => sum + width + gap, -gap) - room;
  while (over() > 0 && widths.length > 1) {
    const texts = widths.map((width, at) => (full[at]! > MIN_TEXT && width > MIN_CUT ? width : 0));
    const widest = texts.indexOf(Math.max(...texts));
    widths =
      texts[widest] === 0
        ? full.slice(0, widths.length - 1)
        : widths.with(widest, Math.max(MIN_CUT, widths[widest]! - over()));
  }
  return widths.map((width, at) => (width === full[at] ? null : width));
}

/** An id as a person compares it; whole where a program reads it. */
export function shortId(id: string): string {
  return process.stdout.isTTY ? id.slice(0, 12) : id;
}

export function printJson(value: unknown): void {
  process.stdout.write(`${harmlessJson(value, 2)}\n`);
}

/** Facts about one thing, a line each. */
export function printFacts(facts: readonly (readonly [string, string])[]): void {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  for (const [name, value] of facts) process.stdout.write(`${name.padEnd(width)}${harmless(value)}\n`);
}

/** A time of the clock here, ISO 8601 to the second. */
export function localTime(iso: string): string {
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** A time as a distance from now: `just now`, `3 min ago`, `in 14 min`. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = Math.round((now - Date.parse(iso)) / 1000);
  const distance = Math.abs(seconds);
  if (distance < 5) return 'just now';
  const [size, unit] = UNITS.find(([limit]) => distance < limit * 90) ?? UNITS.at(-1)!;
  const text = `${Math.round(distance / size)} ${unit}`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

const UNITS: readonly (readonly [number, string])[] = [
  [1, 's'],
  [60, 'min'],
  [3600, 'h'],
  [86_400, 'd'],
];
