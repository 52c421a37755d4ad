import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { thisMachine } from '#src/adapters/machine/local.ts';
import type { Command, Machine, Person } from '#src/adapters/machine/machine.ts';
import type { Action, Owner } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import { placeOf } from '#src/deploy/place.ts';

/** A user that is on every machine, and owns nothing there. */
const PERSON: Person = { name: 'nobody', uid: 65_534, group: 'nogroup', home: '' };
const STRANGER = 4242;

let root: string;
let context: Context;
let lines: string[];
/** Runs before each command, as a person would between two of root. */
let meanwhile: (command: Command) => Promise<void>;

describe.skipIf(process.getuid?.() !== 0)('root that deploys for a person', () => {
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'lead-astray-'));
    await chmod(root, 0o755);
    const person = { ...PERSON, home: join(root, 'home') };
    await mkdir(person.home);
    await chown(person.home, person.uid, person.uid);
    const prefix = join(root, 'opt');
    lines = [];
    meanwhile = async () => undefined;
    context = {
      machine: watched(thisMachine()),
      place: {
        ...placeOf('system', person),
        prefix,
        hubUser: person.name,
        hubHome: join(root, 'hub'),
        record: join(prefix, 'deployment/record.json'),
        backups: join(prefix, 'deployment/backups'),
      },
      person,
      joinToken: null,
      mint: () => Promise.reject(new Error('nothing is minted here')),
      progress: (line) => void lines.push(line),
      packageFolder: root,
      signal: new AbortController().signal,
    };
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  function watched(machine: Machine): Machine {
    return {
      ...machine,
      async run(command) {
        await meanwhile(command);
        return machine.run(command);
      },
    };
  }

  function home(path: string): string {
    return join(context.person.home, path);
  }

  /** What root alone may have or change. */
  async function treasure(): Promise<string> {
    const path = join(root, 'treasure');
    await writeFile(path, 'root’s', { mode: 0o755 });
    return path;
  }

  async function done(action: Action): Promise<() => Promise<void>> {
    const kind = kindOf(action);
    const before = await kind.before(action, context);
    const content = await kind.content?.(action, context);
    await kind.apply(action, context);
    return () => kind.undo(action, before, context, (text) => text.toString() === content?.next);
  }

  async function stateOf(path: string): Promise<string> {
    const { mode, uid } = await stat(path);
    return `${(mode & 0o7777).toString(8)} ${uid}`;
  }

  function folder(path: string, owner: Owner = 'person', mode = 0o700): Action {
    return { do: 'folder', path, mode, owner };
  }

  it('makes the person’s folder as the person, and the hub’s for the hub', async () => {
    await done(folder(home('.openclaw')));
    await done(folder(context.place.hubHome, 'hub'));
    expect(await stateOf(home('.openclaw'))).toBe('700 65534');
    expect(await stateOf(context.place.hubHome)).toBe('700 65534');
  });

  it('refuses a folder of somebody else in the person’s home, and leaves it as it is', async () => {
    await mkdir(home('.openclaw'));
    await chown(home('.openclaw'), STRANGER, STRANGER);
    await chmod(home('.openclaw'), 0o4777);
    await expect(done(folder(home('.openclaw')))).rejects.toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining('belongs to another user (uid 4242)') as string,
    });
    expect(await stateOf(home('.openclaw'))).toBe('4777 4242');
  });

  it.each(['apply', 'undo'] as const)(
    'does not give its own file away, nor a mode, where a link appears: %s',
    async (at) => {
      const precious = await treasure();
      const path = home('.openclaw');
      const action = folder(path, 'person', 0o4777);
      const kind = kindOf(action);
      const before = { was: 'folder', mode: 0o4777, uid: STRANGER, gid: STRANGER };
      await mkdir(path);
      const uid = at === 'apply' ? STRANGER : PERSON.uid;
      await chown(path, uid, uid);
      meanwhile = async ({ argv }) => {
        if (!argv.some((word) => word.includes('chown -h'))) return;
        await rename(path, `${path}.away`);
        await symlink(precious, path);
      };
      const doing = at === 'apply' ? kind.apply(action, context) : kind.undo(action, before, context, () => true);
      await doing.catch(() => undefined);
      expect(await stateOf(precious)).toBe('755 0');
    },
  );

  it('brings back no owner of a folder in the person’s home, and says so', async () => {
    const path = home('.openclaw');
    await kindOf(folder(path)).apply(folder(path), context);
    const before = { was: 'folder', mode: 0o4777, uid: STRANGER, gid: STRANGER };
    await kindOf(folder(path)).undo(folder(path), before, context, () => true);
    expect(await stateOf(path)).toBe('700 65534');
    expect(lines).toEqual([`${path} had another owner before (4242:4242), and stays whose it is`]);
  });

  it.each<Owner>(['person', 'hub'])(
    'writes what was there before as the %s, wherever a link leads to',
    async (owner) => {
      const precious = await treasure();
      const folderOf = owner === 'person' ? home('') : context.place.hubHome;
      await mkdir(folderOf, { recursive: true });
      await chown(folderOf, PERSON.uid, PERSON.uid);
      const path = join(folderOf, 'file');
      await writeFile(path, '{ "a": 1 }');
      const undo = await done({ do: 'write', path, mode: 0o600, owner, text: 'ours' });
      meanwhile = async ({ argv }) => {
        if (!argv.some((word) => word.includes('mv -fT'))) return;
        await rename(folderOf, `${folderOf}.away`);
        await symlink(root, folderOf);
        await rename(precious, join(root, 'file'));
        meanwhile = async () => undefined;
      };
      await expect(undo()).rejects.toMatchObject({ code: 'STEP_FAILED' });
      expect(await readFile(join(root, 'file'), 'utf8')).toBe('root’s');
    },
  );

  it('puts back the content of a file that was somebody else’s, and says whose it stays', async () => {
    const path = home('openclaw.json');
    await writeFile(path, '{ "a": 1 }');
    const undo = await done({ do: 'merge', path, mode: 0o600, owner: 'person', values: { b: 2 }, secrets: [] });
    await undo();
    expect(await readFile(path, 'utf8')).toBe('{ "a": 1 }');
    expect(await stateOf(path)).toBe('644 65534');
    expect(lines).toEqual([`${path} had another owner before (0:0), and stays with nobody`]);
  });

  it('takes back nothing through a link that was made after it', async () => {
    const precious = await treasure();
    await chown(precious, PERSON.uid, PERSON.uid);
    const path = home('openclaw.json');
    await writeFile(path, '{ "a": 1 }');
    const undo = await done({ do: 'merge', path, mode: 0o600, owner: 'person', values: { b: 2 }, secrets: [] });
    await rm(path);
    await symlink(precious, path);
    await undo();
    expect(await readFile(precious, 'utf8')).toBe('root’s');
    expect(lines).toEqual([`${path} is a link now: what was set in the file that it leads to stays`]);
  });

  it('sets no more than permission bits', async () => {
    await done(folder(home('a'), 'person', 0o7755));
    expect(await stateOf(home('a'))).toBe('755 65534');
    await done({ do: 'write', path: join(root, 'unit'), mode: 0o4755, owner: 'root', text: 'x' });
    expect(await stateOf(join(root, 'unit'))).toBe('755 0');
  });
});
