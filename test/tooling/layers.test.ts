import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** Where the import stands, and the import. */
type Case = readonly [file: string, statement: string];

const value = (name: string) => `import { a } from '${name}';\nexport const b = a;\n`;
const type = (name: string) => `import type { A } from '${name}';\nexport type B = A;\n`;
const reexport = (name: string) => `export * from '${name}';\n`;
const later = (name: string) => `export const b = () => import('${name}');\n`;

const FORBIDDEN: readonly Case[] = [
  ['src/core/a.ts', value('node:fs')],
  ['src/core/a.ts', value('fs')],
  ['src/core/a.ts', value('zod')],
  ['src/core/a.ts', value('ulid')],
  ['src/core/a.ts', type('#src/protocol/frames.ts')],
  ['src/core/a.ts', later('#src/adapters/log.ts')],
  ['src/core/a.ts', reexport('node:path')],
  ['src/core/settings.ts', value('yaml')],
  ['src/core/settings.ts', value('node:os')],
  ['src/core/settings.ts', value('semver')],
  ['src/core/a.ts', value('semver')],
  ['src/core/a.ts', value('ipaddr.js')],
  ['src/core/address-range.ts', value('zod')],
  ['src/core/address-range.ts', value('node:net')],
  ['src/core/approval-policy.ts', value('ipaddr.js')],
  ['src/protocol/a.ts', value('node:buffer')],
  ['src/protocol/a.ts', value('hono')],
  ['src/protocol/a.ts', value('#src/link/session.ts')],
  ['src/protocol/a.ts', type('#src/adapters/log.ts')],
  ['src/link/a.ts', value('#src/hub/fleet/fleet.ts')],
  ['src/link/a.ts', type('#src/worker/exec.ts')],
  ['src/link/a.ts', type('#src/adapters/log.ts')],
  ['src/adapters/a.ts', value('#src/protocol/hub-api/node.ts')],
  ['src/adapters/a.ts', type('#src/link/session.ts')],
  ['src/adapters/store/a.ts', type('#src/hub/fleet/fleet.ts')],
  ['src/adapters/a.ts', value('#src/worker/exec.ts')],
  ['src/adapters/a.ts', value('#src/deploy/plan.ts')],
  ['src/hub/a.ts', value('#src/adapters/log.ts')],
  ['src/hub/api/a.ts', later('#src/adapters/store/sqlite.ts')],
  ['src/hub/a.ts', reexport('#src/adapters/log.ts')],
  ['src/hub/a.ts', value('#src/hub/main.ts')],
  ['src/worker/a.ts', value('#src/adapters/log.ts')],
  ['src/plugin/a.ts', value('#src/link/dial.ts')],
  ...['hub', 'worker', 'plugin', 'deploy', 'cli'].flatMap((from) =>
    ['hub', 'worker', 'plugin', 'deploy', 'cli']
      .filter((to) => to !== from && !(from === 'cli' && to === 'deploy'))
      .flatMap((to): Case[] => [
        [`src/${from}/a.ts`, type(`#src/${to}/a.ts`)],
        [`src/${from}/main.ts`, value(`#src/${to}/a.ts`)],
      ]),
  ),
  ['src/hub/a.ts', value('./fleet.ts')],
  ['src/hub/a.ts', value('../worker/exec.ts')],
  ['src/newcomer/a.ts', value('#src/hub/fleet/fleet.ts')],
  ['bin/a.js', "import '#src/hub/fleet/fleet.ts';\n"],
  ['bin/a.js', "import '#src/core/errors.ts';\n"],
  ['bin/a.js', "import 'node:fs';\n"],
];

const ALLOWED: readonly Case[] = [
  ['src/core/a.ts', value('#src/core/node.ts')],
  ['src/core/settings.ts', value('zod')],
  ['src/core/address-range.ts', value('ipaddr.js')],
  ['src/core/approval-policy.ts', value('zod')],
  ['src/core/approval-policy.ts', value('semver')],
  ['src/protocol/a.ts', value('zod')],
  ['src/protocol/a.ts', value('#src/core/node.ts')],
  ['src/link/a.ts', value('node:http2')],
  ['src/link/a.ts', value('#src/protocol/handshake.ts')],
  ['src/adapters/a.ts', type('#src/protocol/hub-api/node.ts')],
  ['src/adapters/store/a.ts', value('#src/adapters/store/store.ts')],
  ['src/hub/a.ts', type('#src/adapters/log.ts')],
  ['src/hub/api/a.ts', value('#src/hub/fleet/fleet.ts')],
  ['src/hub/main.ts', value('#src/adapters/log.ts')],
  ['src/worker/main.ts', value('#src/link/dial.ts')],
  ['src/plugin/a.ts', value('#src/adapters/log.ts')],
  ['src/plugin/a.ts', value('#src/link/models/answer.ts')],
  ['src/deploy/a.ts', value('#src/adapters/log.ts')],
  ['src/cli/a.ts', value('#src/deploy/plan.ts')],
  ['src/cli/a.ts', value('#src/adapters/log.ts')],
  ['bin/a.js', "import '#src/cli/manage.ts';\n"],
  ['bin/a.js', "import '#src/hub/main.ts';\n"],
];

interface Report {
  readonly diagnostics: readonly { readonly code: string; readonly filename: string }[];
}

let folder: string;
let refused: ReadonlySet<string>;

const placeOf = ([file]: Case, index: number, kind: string) => join(kind, String(index), file);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'layers-'));
  await writeAll(FORBIDDEN, 'forbidden');
  await writeAll(ALLOWED, 'allowed');
  refused = await lint();
});

afterAll(() => rm(folder, { recursive: true }));

/** Each case gets a tree of its own; the rules' globs are told to look one tree deeper. */
async function writeAll(cases: readonly Case[], kind: string): Promise<void> {
  for (const [index, entry] of cases.entries()) {
    const path = join(folder, placeOf(entry, index, kind));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, entry[1]);
  }
}

async function lint(): Promise<ReadonlySet<string>> {
  const written = await readFile(join(ROOT, '.oxlintrc.json'), 'utf8');
  const config = JSON.parse(written.replace(/^\s*\/\/.*$/gm, '')) as {
    overrides: { files: string[] }[];
  };
  const overrides = config.overrides.map((rule) => ({ ...rule, files: rule.files.map((glob) => `*/*/${glob}`) }));
  await writeFile(join(folder, '.oxlintrc.json'), JSON.stringify({ ...config, options: {}, overrides }));
  const output = await new Promise<string>((done) => {
    execFile(join(ROOT, 'node_modules/.bin/oxlint'), ['--format=json'], { cwd: folder }, (_, stdout) => done(stdout));
  });
  const { diagnostics } = JSON.parse(output) as Report;
  return new Set(diagnostics.filter(({ code }) => code.includes('no-restricted-imports')).map((d) => d.filename));
}

const titled = (cases: readonly Case[]) =>
  cases.map((entry, index) => ({ entry, index, title: entry.join(': ').trim() }));

describe('the linter refuses', () => {
  it.each(titled(FORBIDDEN))('$title', ({ entry, index }) => {
    expect(refused).toContain(placeOf(entry, index, 'forbidden'));
  });
});

describe('the linter allows', () => {
  it.each(titled(ALLOWED))('$title', ({ entry, index }) => {
    expect(refused).not.toContain(placeOf(entry, index, 'allowed'));
  });
});
