import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const README = await readFile(join(ROOT, 'README.md'), 'utf8');
const EXAMPLES = [
  ...README.matchAll(/^ {4}(?:.*\| )?((?:deploy|manage)-federation|auto-register|federation-(?:hub|worker))(.*)$/gm),
];

const run = promisify(execFile);
const helpOf = async (command: string, words: readonly string[]): Promise<string> =>
  (await run(join(ROOT, 'bin', command), [...words.filter((word) => word !== ''), '--help'])).stdout;

it('the README has examples of every command that a person types', () => {
  expect(new Set(EXAMPLES.map(([, command]) => command))).toEqual(
    new Set(['deploy-federation', 'manage-federation', 'auto-register', 'federation-worker']),
  );
});

it.each(EXAMPLES.map(([line, command, rest]) => ({ line: line.trim(), command: command!, rest: rest! })))(
  'the README’s example is one that the command takes: $line',
  async ({ command, rest }) => {
    const [own = ''] = rest.split(/ -- | "| > /);
    const [first = '', second = ''] = own.replace(/--\S+ \S+/g, '').match(/(?<=^|\s)[a-z]\S*/g) ?? [];
    const top = await helpOf(command, []);
    expect(['', ...commandsIn(top)]).toContain(first);
    const below = await helpOf(command, [first]);
    const help = commandsIn(below).includes(second) ? await helpOf(command, [first, second]) : below;
    for (const flag of own.match(/--[a-z-]+/g) ?? []) expect(top + help).toContain(` ${flag}`);
  },
);

/** The first words under `Commands:`. */
function commandsIn(help: string): string[] {
  const [, list = ''] = help.split('Commands:\n');
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!);
}
