import Table from 'cli-table3';
import { harmless } from '#src/adapters/terminal.ts';

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

/** Results for a person: columns under their heads, on standard output. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({
    head: [...head],
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows.map((row) => row.map(harmless)));
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Facts about one thing, a line each. */
export function printFacts(facts: readonly (readonly [string, string])[]): void {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  for (const [name, value] of facts) process.stdout.write(`${name.padEnd(width)}${harmless(value)}\n`);
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
