import { cp, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { thisMachine } from '#src/adapters/machine/local.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { release } from '#src/deploy/actions/release.ts';
import { placeOf } from '#src/deploy/place.ts';
import { nodeIn, releaseFor } from '#src/deploy/release/release.ts';
import { buildPackage } from '../support/built-package.ts';
import { bareMachine } from '../support/facts.ts';
import { INSTALLED, OTHER_NODE, writeTree } from '../support/installed-package.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');

let folder: string;
let packageFolder: string;
let said: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'release-'));
  packageFolder = join(folder, 'here/node_modules/openclaw-federation');
  said = [];
  await writeTree(join(folder, 'here/node_modules'), INSTALLED);
});
afterEach(() => rm(folder, { recursive: true }));

function contextOn(machine: Machine): Context {
  const { username, uid } = userInfo();
  const person = { name: username, uid, group: username, home: join(folder, 'there') };
  return {
    machine,
    person,
    place: placeOf('user', person),
    joinToken: null,
    mint: () => Promise.reject(new Error('not asked for')),
    progress: (line) => said.push(line),
    packageFolder,
    signal: AbortSignal.timeout(60_000),
  };
}

const withoutNode = bareMachine({ machine: { arch: process.arch } });
const withNode = bareMachine({ node: { program: '/usr/bin/node', version: '24.20.0' } });
const ofOtherKind = bareMachine({ machine: { arch: OTHER_NODE.replace('node-linux-', '') } });

async function actionFor(facts = withoutNode): Promise<ActionOf<'release'>> {
  const { name } = await releaseFor(packageFolder, facts);
  const { prefix } = contextOn(thisMachine()).place;
  return { do: 'release', path: join(prefix, 'releases', name), owner: 'person' };
}

describe('the name of a release', () => {
  it('is that of its content: version and hash, whoever makes it', async () => {
    const { name } = await releaseFor(packageFolder, withoutNode);
    expect(name).toMatch(/^9\.9\.9-[0-9a-f]{8}$/);
    await utimes(join(packageFolder, 'dist/main.js'), 1, 1);
    await writeFile(join(packageFolder, 'secret.txt'), 'other');
    expect(await releaseFor(packageFolder, withoutNode)).toMatchObject({ name });
    await writeFile(join(packageFolder, 'dist/main.js'), 'other');
    expect((await releaseFor(packageFolder, withoutNode)).name).not.toBe(name);
  });

  it('is another where a package has another version', async () => {
    const { name } = await releaseFor(packageFolder, withoutNode);
    await writeTree(packageFolder, { 'node_modules/a/package.json': { name: 'a', version: '1.0.1' } });
    expect((await releaseFor(packageFolder, withoutNode)).name).not.toBe(name);
  });

  it('is that of a release which is deployed from', async () => {
    const action = await actionFor();
    await release.apply(action, contextOn(thisMachine()));
    const again = await releaseFor(join(action.path, 'node_modules/openclaw-federation'), withoutNode);
    expect(action.path).toContain(again.name);
  });

  it('says whether a Node goes along: for another kind of CPU, and not where there is one that serves', async () => {
    const releases = await Promise.all(
      [withoutNode, withNode, ofOtherKind].map((one) => releaseFor(packageFolder, one)),
    );
    expect(releases.map(nodeIn)).toEqual([
      `node_modules/node-linux-${process.arch}/bin/node`,
      null,
      `node_modules/${OTHER_NODE}/bin/node`,
    ]);
    expect(new Set(releases.map(({ name }) => name)).size).toBe(3);
  });
});

describe('a release', () => {
  it.each([
    ['this machine', true],
    ['another one', false],
  ])('is laid out on %s so that each package finds its own', async (_which, isLocal) => {
    const action = await actionFor();
    const old = process.umask(0o077);
    await release.apply(action, contextOn({ ...thisMachine(), isLocal })).finally(() => process.umask(old));
    const modules = join(action.path, 'node_modules');
    const load = createRequire(join(modules, 'openclaw-federation/dist/main.js'));
    expect(load('a')).toBe('a 1');
    expect(load('b')).toEqual(['b', 'a 2', ['c', 'a 2']]);
    expect(load('bundler')).toEqual(['bundler', 'a 3']);
    expect(load('@scope/beside')).toEqual(['beside', 'a 4']);
    expect((await readdir(join(modules, 'openclaw-federation'))).toSorted()).toEqual([
      'README.md',
      'bin',
      'dist',
      'package.json',
      'plugin',
    ]);
    const plugin = join(action.path, 'plugin');
    expect((await readdir(plugin)).toSorted()).toEqual(['main.js', 'package.json']);
    expect(JSON.parse(await readFile(join(plugin, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies');
    expect((await stat(join(plugin, 'main.js'))).nlink).toBe(1);
    expect((await readdir(modules)).includes('tool')).toBe(false);
    expect((await readdir(join(modules, `node-linux-${process.arch}`))).toSorted()).toEqual(['bin', 'package.json']);
    const modes = [
      action.path,
      join(modules, 'a/index.js'),
      join(modules, 'openclaw-federation/bin/manage-federation'),
    ];
    expect(await Promise.all(modes.map(async (path) => (await stat(path)).mode & 0o777))).toEqual([
      0o755, 0o644, 0o755,
    ]);
  });

  it('holds no Node where the machine has one that serves', async () => {
    const action = await actionFor(withNode);
    await release.apply(action, contextOn(thisMachine()));
    expect((await readdir(join(action.path, 'node_modules'))).filter((name) => name.startsWith('node-'))).toEqual([]);
  });

  it('that is there is not sent again', async () => {
    const action = await actionFor();
    const context = contextOn(thisMachine());
    await release.apply(action, context);
    await writeFile(join(action.path, 'mark'), '');
    await release.apply(action, context);
    expect(await readdir(action.path)).toContain('mark');
  });

  it('that was cut off on its way is not there, and comes whole the next time', async () => {
    const action = await actionFor();
    const machine = thisMachine();
    const cut: Machine = {
      ...machine,
      async run(command) {
        if (!(command.input instanceof Readable)) return machine.run(command);
        const whole = await buffer(command.input);
        return machine.run({ ...command, input: Readable.from([whole.subarray(0, whole.length >> 1)]) });
      },
    };
    await expect(release.apply(action, contextOn(cut))).rejects.toMatchObject({ code: 'STEP_FAILED' });
    expect(await readdir(join(action.path, '..'))).toEqual([]);
    await writeTree(join(action.path, '..'), { '0.1.0-crashed.new/node_modules/a/index.js': 'a' });
    await release.apply(action, contextOn(machine));
    expect(await readdir(join(action.path, '..'))).toEqual([action.path.split('/').at(-1)]);
  });

  it('whose Node doesn’t start there is not there', async () => {
    await writeTree(join(packageFolder, '..'), {
      [`node-linux-${process.arch}/bin/node`]: '#!/bin/sh\necho no such loader >&2\nexit 1\n',
    });
    const action = await actionFor();
    await expect(release.apply(action, contextOn(thisMachine()))).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining('no such loader') as string,
    });
    await expect(stat(action.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of what can’t be read is not sent', async () => {
    const action = await actionFor();
    const context = contextOn(thisMachine());
    await symlink('gone', join(packageFolder, 'dist/link.js'));
    await expect(release.apply(action, context)).rejects.toMatchObject({ code: 'STEP_FAILED' });
    await expect(stat(action.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of another version of this program is refused', async () => {
    const action = await actionFor();
    await writeFile(join(packageFolder, 'dist/main.js'), 'other');
    await expect(release.apply(action, contextOn(thisMachine()))).rejects.toMatchObject({ code: 'STEP_FAILED' });
  });

  it('leaves the one that runs beside it, and removes those before', async () => {
    const context = contextOn(thisMachine());
    const names: string[] = [];
    for (const text of ['one', 'two', 'three']) {
      await writeFile(join(packageFolder, 'dist/main.js'), text);
      const action = await actionFor();
      await release.apply(action, context);
      names.push(action.path);
      await rm(context.place.current, { force: true });
      await symlink(action.path, context.place.current);
    }
    const left = await readdir(join(context.place.prefix, 'releases'));
    expect(left.map((name) => join(context.place.prefix, 'releases', name)).toSorted()).toEqual(
      names.slice(1).toSorted(),
    );
  });

  it('is gone with all others when it is taken back', async () => {
    const context = contextOn(thisMachine());
    const action = await actionFor();
    await release.apply(action, context);
    await release.undo(action, null, context, () => true);
    await release.undo(action, null, context, () => true);
    expect(await readdir(context.place.prefix)).toEqual([]);
  });

  it('for another kind of CPU gets its Node by npm', async () => {
    await writeTree(packageFolder, {
      'bin/npm': `#!/bin/sh
[ "$1 $2" = "pack ${OTHER_NODE}@24.21.0" ] || exit 3
for word; do case $word in --pack-destination=*) to=\${word#*=} ;; esac; done
mkdir -p package/bin && echo '#!/bin/sh' >package/bin/node && chmod +x package/bin/node && echo {} >package/package.json
tar -czf "$to/${OTHER_NODE}-24.21.0.tgz" package
`,
      // It would run there.
      'bin/manage-federation': '#!/bin/sh\n',
    });
    const action = await actionFor(ofOtherKind);
    await release.apply(action, contextOn(thisMachine()));
    expect(said[0]).toBe(`fetching ${OTHER_NODE} 24.21.0`);
    expect(await readdir(join(action.path, 'node_modules', OTHER_NODE))).toEqual(['bin', 'package.json']);
  });

  it('whose Node can’t be fetched is refused with npm’s last word', async () => {
    await writeTree(packageFolder, { 'bin/npm': '#!/bin/sh\necho npm error: no network >&2\nexit 1\n' });
    const action = await actionFor(ofOtherKind);
    await expect(release.apply(action, contextOn(thisMachine()))).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining('no network') as string,
    });
  });
});

describe('a checkout', () => {
  it('that isn’t built is refused, and so is one whose sources have changed since', async () => {
    await writeTree(packageFolder, { 'src/main.ts': 'main', 'src/other.ts': 'other' });
    await utimes(join(packageFolder, 'src/main.ts'), 1, 1);
    const refused = { code: 'USAGE', hint: expect.stringContaining('npm run build') as string };
    await expect(releaseFor(packageFolder, withoutNode)).rejects.toMatchObject(refused);
    await writeTree(packageFolder, { 'dist/other.js': 'other' });
    await utimes(join(packageFolder, 'dist/other.js'), 1, 1);
    await expect(releaseFor(packageFolder, withoutNode)).rejects.toMatchObject(refused);
    await utimes(join(packageFolder, 'src/other.ts'), 1, 1);
    expect((await releaseFor(packageFolder, withoutNode)).name).toMatch(/^9\.9\.9-/);
    await utimes(join(packageFolder, 'plugin/main.js'), 0, 0);
    await expect(releaseFor(packageFolder, withoutNode)).rejects.toMatchObject(refused);
    await rm(join(packageFolder, 'plugin/main.js'));
    await expect(releaseFor(packageFolder, withoutNode)).rejects.toMatchObject(refused);
  });

  it('that is built gives a release whose commands run', async () => {
    packageFolder = join(folder, 'checkout');
    await buildPackage(packageFolder);
    // As it is where the sources are: what is built has to be of all of them.
    await cp(join(CHECKOUT, 'src'), join(packageFolder, 'src'), { recursive: true, preserveTimestamps: true });
    const action = await actionFor();
    await release.apply(action, contextOn(thisMachine()));
    const { stdout } = await execa(
      join(action.path, 'node_modules/openclaw-federation/bin/manage-federation'),
      ['--version'],
      { extendEnv: false, env: { PATH: '/usr/bin:/bin', HOME: folder } },
    );
    expect(stdout).toBe(
      (JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string }).version,
    );
    expect(await readdir(join(action.path, 'node_modules/openclaw-federation'))).toEqual(
      expect.arrayContaining(['systemd', 'templates']),
    );
    expect(said.at(-1)).toMatch(/^sent (\d+) of \1 MB$/);
  });
});
