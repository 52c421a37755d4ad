import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

/** The page that tells the protocol, taken apart. */
export const page = await readFile(resolve(import.meta.dirname, '../../docs/protocol.md'), 'utf8');

/** The text below a heading, up to the next of its rank or above. */
export function section(heading: string): string {
  const rank = /^#+/.exec(heading)![0].length;
  const begin = page.indexOf(`\n${heading}\n`);
  if (begin === -1) throw new Error(`the page has no ${heading}`);
  const rest = page.slice(begin + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${rank}} `, 'm'));
  return end === -1 ? rest : rest.slice(0, end);
}

/** Cells of the rows of the table whose first line that is. */
export function table(text: string, head: string): string[][] {
  const lines = text.slice(text.indexOf(`\n${head}\n`) + 1).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  const rows = lines.slice(2, end).map((line) => line.split('|').slice(1, -1));
  return rows.map((row) => row.map((cell) => cell.trim()));
}

/** What stands in back-ticks. */
export function wordsIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
}

/** What stands in back-ticks in the first column of a table. */
export function firstWords(text: string, head: string): string[] {
  return table(text, head).flatMap(([first]) => wordsIn(first!));
}

/** One constant of the code, as the page has it. */
export interface NumberRow {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly path: string;
}

/** The rows of all tables of constants. */
export function numberRows(): NumberRow[] {
  const rows = [...page.matchAll(/^\| `([A-Z][A-Za-z0-9_.]+)` \| (\d+) (\w+) \|.*\| `(src\/[^`]+)` \|$/gm)];
  return rows.map(([, name, value, unit, path]) => ({ name: name!, value: Number(value), unit: unit!, path: path! }));
}
