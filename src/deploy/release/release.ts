import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { ShippedPackage } from '#src/deploy/release/package-tree.ts';
import { filesOfPackage, packageTree, readManifest } from '#src/deploy/release/package-tree.ts';
import { machineNode } from '#src/deploy/plan/node.ts';

/** A package that holds a Node for one kind of CPU, in the version that this one was tried with. */
export interface NodePackage {
  readonly name: string;
  readonly version: string;
}

/** This package and all that it needs, as a machine gets it. */
export interface Release {
  /** Version, and the hash of what it holds: the same for the same content, wherever it is made. */
  readonly name: string;
  /** Ours comes first. */
  readonly packages: readonly [ShippedPackage, ...ShippedPackage[]];
  /** The Node that goes along; null: the machine’s own is used, which spares it 120 MB. */
  readonly node: NodePackage | null;
}

/** The program of a Node package, in it. */
export const NODE_PROGRAM = 'bin/node';

/**
 * The release for a machine: with a Node of ours unless the machine has one that serves, or there is none for it. Throws
 * USAGE in a checkout that isn’t built, PROGRAM_MISSING where a package isn’t installed.
 */
export async function releaseFor(
  packageFolder: string,
  facts: Pick<Facts, 'machine' | 'node' | 'place' | 'person'>,
): Promise<Release> {
  const { arch, libc } = facts.machine;
  const needsOurs = machineNode(facts) === null && libc === 'glibc';
  const releases = await releasesOf(packageFolder);
  const wanted = needsOurs ? `node-linux-${arch}` : undefined;
  return releases.find(({ node }) => node !== null && node.name === wanted) ?? releases[0];
}

/** The release that has this name; null: this package makes none such. Throws as releaseFor. */
export async function releaseNamed(packageFolder: string, name: string): Promise<Release | null> {
  return (await releasesOf(packageFolder)).find((release) => release.name === name) ?? null;
}

/** Where a release has its Node, below its folder. */
export function nodeIn({ node }: Release): string | null {
  return node === null ? null : join('node_modules', node.name, NODE_PROGRAM);
}

/** Without a Node, then with each that there is. */
async function releasesOf(packageFolder: string): Promise<[Release, ...Release[]]> {
  await checkBuilt(packageFolder);
  const packages = await packageTree(packageFolder);
  const [own, ...others] = packages;
  const hash = createHash('sha256');
  for (const path of await filesOfPackage(own)) {
    hash.update(`${path}\0`).update(await readFile(join(own.from, path)));
  }
  for (const { to, version } of others.toSorted((a, b) => (a.to < b.to ? -1 : 1))) hash.update(`${to}@${version}\0`);
  const release = (node: NodePackage | null): Release => {
    const whole = hash.copy().update(node === null ? '' : `${node.name}@${node.version}`);
    return { name: `${own.version}-${whole.digest('hex').slice(0, 8)}`, packages, node };
  };
  return [release(null), ...(await nodePackages(packageFolder)).map(release)];
}

async function nodePackages(packageFolder: string): Promise<NodePackage[]> {
  const { optionalDependencies } = await readManifest(packageFolder);
  return Object.entries(optionalDependencies).flatMap(([name, version]) =>
    name.startsWith('node-linux-') ? [{ name, version }] : [],
  );
}

/** A machine gets what was compiled: in a checkout that has to be there, and of these sources. */
async function checkBuilt(packageFolder: string): Promise<void> {
  const [sources, built] = [join(packageFolder, 'src'), join(packageFolder, 'dist')];
  const isPackage = (await stat(sources).catch(() => null)) === null;
  if (isPackage) return;
  const refuse = (what: string, compiled: Stats | null): never => {
    const problem = compiled === null ? 'is not built' : 'has changed since it was built';
    throw new FederationError('USAGE', `this checkout ${problem} (${what})`, {
      hint: `npm run build (in ${packageFolder})`,
    });
  };
  let latest = 0;
  for (const path of await readdir(sources, { recursive: true })) {
    if (!path.endsWith('.ts')) continue;
    const compiled = await stat(join(built, path.replace(/\.ts$/, '.js'))).catch(() => null);
    const { mtimeMs } = await stat(join(sources, path));
    if (compiled === null || compiled.mtimeMs < mtimeMs) refuse(`src/${path}`, compiled);
    latest = Math.max(latest, mtimeMs);
  }
  // Made of what was compiled, after it.
  const plugin = await stat(join(packageFolder, 'plugin/main.js')).catch(() => null);
  if (plugin === null || plugin.mtimeMs < latest) refuse('plugin/main.js', plugin);
}
