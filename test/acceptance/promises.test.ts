import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { CLAWSTER } from './clawster.ts';
import { CLUSTER } from './cluster.ts';
import { FEDERATION } from './federation.ts';
import { MATRIX } from './matrix.ts';
import type { Kept } from './promise.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const SYSTEMS = [
  ['C', 48, CLAWSTER],
  ['K', 55, CLUSTER],
  ['F', 32, FEDERATION],
  ['M', 77, MATRIX],
] as const;

const ALL: readonly Kept[] = SYSTEMS.flatMap(([, , kept]) => kept);

it.each(SYSTEMS)('every promise of system %s is answered once: %i of them', (letter, count, kept) => {
  const rows = Array.from({ length: count }, (_, index) => `${letter}-${String(index + 1).padStart(2, '0')}`);
  expect(kept.map(({ row }) => row)).toEqual(rows);
});

it('every test that is named is there', async () => {
  const missing = [];
  for (const { row, proof } of ALL) {
    if ('open' in proof || !('test' in proof)) continue;
    if (!(await hasTest(proof.test, proof.name))) missing.push(`${row}: ${proof.test}: ${proof.name}`);
  }
  expect(missing).toEqual([]);
});

it('what a test proves by now is not called open', async () => {
  const proved = [];
  for (const { row, proof } of ALL) {
    if (!('open' in proof) || proof.test === undefined || proof.name === undefined) continue;
    if (await hasTest(proof.test, proof.name)) proved.push(`${row}: ${proof.test}: ${proof.name}`);
  }
  expect(proved).toEqual([]);
});

it('a decision that stands alone says what and why', () => {
  const terse = ALL.filter(
    ({ proof }) => !('open' in proof) && !('test' in proof) && proof.decision.split(' ').length < 8,
  );
  expect(terse.map(({ row }) => row)).toEqual([]);
});

it('the page on trouble has the checks of all four systems', async () => {
  const page = await readFile(resolve(ROOT, 'docs/troubleshooting.md'), 'utf8');
  for (const words of [
    'deploy-federation doctor',
    'settings.yaml',
    'journalctl -u openclaw-worker -f',
    'tailscale status',
    '~/.openclaw-worker',
    'worker.exec',
    'TOKEN_EXPIRED',
    'model',
  ]) {
    expect(page).toContain(words);
  }
});

const texts = new Map<string, string>();

/** Whether a file has a test, or a row of a table of tests, of that name. */
async function hasTest(path: string, name: string): Promise<boolean> {
  const file = resolve(ROOT, path);
  if (!existsSync(file)) return false;
  if (!texts.has(path)) texts.set(path, await readFile(file, 'utf8'));
  const text = texts.get(path)!;
  return ["'", '"', '`'].some((quote) => text.includes(`${quote}${name}${quote}`));
}
