import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';

/** A package as it goes into a release. */
export interface ShippedPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder here, links followed. */
  readonly from: string;
  /** Its folder in the release: `node_modules/a/node_modules/b`. */
  readonly to: string;
  /** Of what is in `from`, what goes along: names of files and folders; null: all. */
  readonly only: readonly string[] | null;
  /** Whether its own node_modules goes along, because it was published with it. */
  readonly bundles: boolean;
}

/**
 * The package in `folder` and all that it needs at run time, laid out so that each finds the same version of every other
 * as here, however they were installed here: nested, hoisted beside it, or linked. It comes first itself, with what is
 * published of it alone. What is bound to a kind of CPU is left out: the machine that it is for may be of another. Throws
 * PROGRAM_MISSING where one is not installed.
 */
export async function packageTree(folder: string): Promise<readonly [ShippedPackage, ...ShippedPackage[]]> {
  const root = await realpath(folder);
  const own = await readManifest(root);
  const first: ShippedPackage = {
    name: own.name,
    version: own.version,
    from: root,
    to: join('node_modules', own.name),
    only: [...own.files, 'package.json'],
    bundles: false,
  };
  const placed = new Map([[first.to, first]]);
  await placeNeeds(first, placed);
  const [, ...others] = placed.values();
  return [first, ...others];
}

/** Paths of a package’s files that go along, below its folder, in a fixed order. */
export async function filesOfPackage({ from, only, bundles, name }: ShippedPackage): Promise<string[]> {
  const found: string[] = [];
  async function walk(path: string): Promise<void> {
    const entries = await readdir(join(from, path), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      if (path === '' && only !== null && !only.includes(entry.name)) continue;
      if (isLeftOut(name, below, bundles)) continue;
      const kind = entry.isSymbolicLink() ? await stat(await inside(from, below)) : entry;
      if (kind.isDirectory()) await walk(below);
      else if (kind.isFile()) found.push(below);
    }
  }
  await walk('');
  return found;
}

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  files: z.array(z.string()).default([]),
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
  peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean().default(false) })).default({}),
  bundleDependencies: z.union([z.array(z.string()), z.boolean()]).default([]),
  cpu: z.unknown().optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;

export async function readManifest(folder: string): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
}

/**
 * Lays out what a package needs: at the top where its name is free there, else below the package itself. All of its
 * needs have their places before one of them is gone into, so that none hides what another found already.
 */
async function placeNeeds(dependant: ShippedPackage, placed: Map<string, ShippedPackage>): Promise<void> {
  const fresh: ShippedPackage[] = [];
  for (const needed of await needsOf(dependant)) {
    if (visibleFrom(dependant.to, needed.name, placed)?.from === needed.from) continue;
    const top = join('node_modules', needed.name);
    const to = placed.has(top) ? join(dependant.to, 'node_modules', needed.name) : top;
    const shipped = { ...needed, to };
    placed.set(to, shipped);
    fresh.push(shipped);
  }
  for (const shipped of fresh) await placeNeeds(shipped, placed);
}

async function needsOf(dependant: ShippedPackage): Promise<Omit<ShippedPackage, 'to'>[]> {
  const { from, name: dependantName } = dependant;
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = await readManifest(from);
  const peers = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true);
  const names = new Set([...Object.keys(dependencies), ...Object.keys(optionalDependencies), ...peers]);
  const needs: Omit<ShippedPackage, 'to'>[] = [];
  for (const name of [...names].toSorted()) {
    const found = await findPackage(name, from);
    if (found === null) {
      if (name in optionalDependencies || peers.includes(name)) continue;
      throw new FederationError(
        'PROGRAM_MISSING',
        `${dependantName} needs the package ${name}, which is not installed`,
        {
          hint: 'install openclaw-federation again (in a checkout: npm ci)',
        },
      );
    }
    if (dependant.bundles && found.startsWith(from + sep)) continue;
    const { version, bundleDependencies, cpu } = await readManifest(found);
    if (cpu !== undefined) continue;
    const bundles = bundleDependencies === true || (Array.isArray(bundleDependencies) && bundleDependencies.length > 0);
    needs.push({ name, version, from: found, only: null, bundles });
  }
  return needs;
}

/** Where a package is that one in the folder `from` finds, as Node looks for it; null where it is not installed. */
export async function findPackage(name: string, from: string): Promise<string | null> {
  for (let folder = from; ; folder = dirname(folder)) {
    if (basename(folder) !== 'node_modules') {
      const candidate = join(folder, 'node_modules', name);
      const there = await stat(join(candidate, 'package.json')).catch(() => null);
      if (there !== null) return realpath(candidate);
    }
    if (dirname(folder) === folder) return null;
  }
}

function visibleFrom(
  to: string,
  name: string,
  placed: ReadonlyMap<string, ShippedPackage>,
): ShippedPackage | undefined {
  for (let folder = to; folder !== '.'; folder = dirname(folder)) {
    if (basename(folder) === 'node_modules') continue;
    const found = placed.get(join(folder, 'node_modules', name));
    if (found !== undefined) return found;
  }
  return placed.get(join('node_modules', name));
}

/** Node takes no TypeScript from packages; npm’s manual is a third of it. */
const LEFT_OUT = /\.(?:[cm]?ts|map)$/;
const MANUALS: Readonly<Record<string, RegExp>> = { npm: /^(?:docs|man)$/ };

function isLeftOut(name: string, path: string, bundles: boolean): boolean {
  return (path === 'node_modules' && !bundles) || LEFT_OUT.test(path) || MANUALS[name]?.test(path) === true;
}

/** Where a link in a package leads to. Throws STEP_FAILED where that is outside, or nowhere: nobody published it. */
async function inside(from: string, path: string): Promise<string> {
  const target = await realpath(join(from, path)).catch(() => null);
  if (target !== null && target.startsWith(from + sep)) return target;
  throw new FederationError('STEP_FAILED', `the link ${join(from, path)} leads out of its package`, {
    hint: 'install openclaw-federation again',
  });
}
