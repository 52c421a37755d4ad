import { readFileSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

const texts = new Map<string, string>();

/** Text of a file of the repository. */
export async function source(path: string): Promise<string> {
  const known = texts.get(path);
  if (known !== undefined) return known;
  const text = await readFile(resolve(ROOT, path), 'utf8');
  texts.set(path, text);
  return text;
}

/** Paths of all source files in a folder. */
export async function sources(under = 'src'): Promise<string[]> {
  const paths: string[] = [];
  for await (const path of glob(`${under}/**/*.ts`, { cwd: ROOT })) paths.push(path);
  return paths;
}

/** Path of the one file in a folder that has a text. */
export async function fileWith(under: string, text: string): Promise<string> {
  for (const path of await sources(under)) if ((await source(path)).includes(text)) return path;
  throw new Error(`no file below ${under} has ${text}`);
}

/** Value of a constant, or of a field of one, as its file defines it. */
export function valueOf(path: string, name: string): number {
  const text = readFileSync(resolve(ROOT, path), 'utf8');
  const [constant, field] = name.split('.');
  const [, defined] = new RegExp(`const ${constant}(?:: \\w+)? = ([^;]+);`).exec(text) ?? [];
  const expression = field === undefined ? defined : new RegExp(`${field}: ([^,}]+)`).exec(defined ?? '')?.[1];
  if (expression === undefined) return Number.NaN;
  return calculate(expression, (word) => valueOf(homeOf(text, path, word), word));
}

function homeOf(text: string, path: string, word: string): string {
  const imports = [...text.matchAll(/import \{([^}]*)\} from '#(src\/[^']+)'/g)];
  return imports.find(([, names]) => names!.split(',').some((one) => one.trim() === word))?.[2] ?? path;
}

/** Products, sums and shifts of whole numbers: what constants are made of. */
function calculate(expression: string, known: (word: string) => number): number {
  const plain = expression.trim().replace(/^\((.*)\)$/, (whole, inner: string) => (/[()]/.test(inner) ? whole : inner));
  for (const [sign, join] of OPERATIONS) {
    const parts = split(plain, sign);
    if (parts.length > 1) return parts.map((part) => calculate(part, known)).reduce(join);
  }
  return /^[A-Z]/.test(plain) ? known(plain) : Number(plain.replaceAll('_', ''));
}

const OPERATIONS: readonly (readonly [string, (a: number, b: number) => number])[] = [
  ['<<', (a, b) => a << b],
  ['+', (a, b) => a + b],
  ['*', (a, b) => a * b],
];

/** At a sign that stands in no brackets. */
function split(text: string, sign: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    if (text[at] === ')') depth -= 1;
    if (depth === 0 && text.startsWith(sign, at)) {
      parts.push(part);
      part = '';
      at += sign.length - 1;
    } else part += text[at];
  }
  return [...parts, part];
}
