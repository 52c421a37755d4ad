import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Action, Plan, Step } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { applyPlan } from '#src/deploy/apply.ts';
import { changeText } from '#src/deploy/change.ts';
import { readRecord } from '#src/deploy/record/file.ts';
import { undoDeployment } from '#src/deploy/undo.ts';
import { eventually } from '../support/eventually.ts';
import { wantedOf } from '../support/facts.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

let scratch: ScratchMachine;

beforeEach(async () => {
  scratch = await scratchMachine();
});

afterEach(() => scratch.dispose());

const wanted = wantedOf({ scope: 'user' });
const UNIT = { name: 'openclaw-worker.service', scope: 'user' } as const;

function step(id: string, ...actions: readonly Action[]): Step {
  return { id, title: `${id} is so`, actions };
}

/** One of each that changes files or units, over things that are there already and over nothing. */
function plan(): Plan {
  const path = (name: string): string => scratch.path(name);
  const owner = 'person' as const;
  return {
    notes: [],
    steps: [
      step('home', { do: 'folder', path: path('.openclaw-worker'), mode: 0o700, owner }),
      step(
        'settings',
        { do: 'write', path: path('.openclaw-worker/settings.yaml'), mode: 0o600, owner, text: 'name: pi\n' },
        { do: 'write', path: path('.openclaw-worker/key'), mode: 0o600, owner, text: 'hush hush\n', secret: true },
        {
          do: 'merge',
          path: path('openclaw.json'),
          mode: 0o600,
          owner,
          values: { 'a.token': 's3cret' },
          secrets: ['a.token'],
        },
      ),
      step('command', { do: 'link', path: path('.local/bin/manage-federation'), target: '/opt/x', owner }),
      step(
        'worker',
        {
          do: 'write',
          path: path('.config/systemd/user/openclaw-worker.service'),
          mode: 0o644,
          owner,
          text: '[Unit]\n',
        },
        { do: 'reload', scope: 'user' },
        { do: 'unit', unit: UNIT, want: { enabled: true, active: true }, restart: false },
      ),
    ],
  };
}

/** What a person may have had there before. */
async function furnish(): Promise<void> {
  await writeFile(scratch.path('openclaw.json'), '{\n  // mine\n  "a": {"b": 1}\n}\n');
  await chmod(scratch.path('openclaw.json'), 0o644);
  await mkdir(scratch.path('.local/bin'), { recursive: true });
  await symlink('/usr/bin/theirs', scratch.path('.local/bin/manage-federation'));
}

interface Heard {
  readonly steps: string[];
}

async function apply(context: Context = scratch.context, what: Plan = plan()): Promise<Heard> {
  const steps: string[] = [];
  await applyPlan(what, context, { wanted, onStep: (id, how) => void steps.push(`${id} ${how}`) });
  return { steps };
}

async function undo(context: Context = scratch.context, keepData = false): Promise<Heard> {
  const steps: string[] = [];
  const record = await readRecord(scratch.context);
  if (record === null) throw new Error('there is no record');
  await undoDeployment(record, context, {
    keepData,
    keepTailscale: false,
    onStep: (id, how) => void steps.push(`${id} ${how}`),
  });
  return { steps };
}

test('a plan that is applied and taken back leaves a home byte for byte as it was', async () => {
  await furnish();
  const before = await scratch.snapshot();
  const { steps } = await apply();
  expect(steps).toEqual(['home', 'settings', 'command', 'worker'].flatMap((id) => [`${id} begun`, `${id} done`]));
  expect((await readRecord(scratch.context))?.state).toBe('deployed');
  const undone = await undo();
  expect(undone.steps).toEqual(
    ['worker', 'command', 'settings', 'home', 'reload', 'record'].flatMap((id) => [`${id} begun`, `${id} done`]),
  );
  expect(await scratch.snapshot()).toEqual(before);
});

test('on a machine where nothing was, nothing is left', async () => {
  await apply();
  await undo();
  expect(await scratch.snapshot()).toEqual({});
});

test('no secret is in the record or in what is said', async () => {
  await apply();
  await undo(scratch.context, true);
  const text = await readFile(scratch.context.place.record, 'utf8');
  expect(text).toContain('settings.yaml');
  expect(text + scratch.lines.join('\n')).not.toMatch(/hush|s3cret/);
  expect((await scratch.programs.calls()).join('\n')).not.toMatch(/hush|s3cret/);
});

test('data that is kept is taken away by a second uninstall', async () => {
  await apply();
  await undo(scratch.context, true);
  const left = Object.keys(await scratch.snapshot()).filter((path) => !path.startsWith('.local/share'));
  expect(left).toEqual(['.local', '.openclaw-worker', '.openclaw-worker/key', '.openclaw-worker/settings.yaml']);
  expect((await readRecord(scratch.context))?.state).toBe('kept');
  await undo();
  expect(await scratch.snapshot()).toEqual({});
});

test('a plan that only looks changes nothing, not even the record', async () => {
  await apply();
  const before = await scratch.snapshot();
  const calls = (await scratch.programs.calls()).length;
  await apply(scratch.context, { notes: [], steps: [step('home'), step('worker')] });
  expect(await scratch.snapshot()).toEqual(before);
  expect(await scratch.programs.calls()).toHaveLength(calls);
});

test('what a second deployment changes is taken back to what was before the first', async () => {
  await furnish();
  const before = await scratch.snapshot();
  await apply();
  const owner = 'person' as const;
  await apply(scratch.context, {
    notes: [],
    steps: [
      step(
        'settings',
        { do: 'write', path: scratch.path('.openclaw-worker/settings.yaml'), mode: 0o600, owner, text: 'name: pi2\n' },
        { do: 'merge', path: scratch.path('openclaw.json'), mode: 0o600, owner, values: { c: true }, secrets: [] },
      ),
      step('command', { do: 'link', path: scratch.path('.local/bin/manage-federation'), target: '/opt/y', owner }),
    ],
  });
  // OpenClaw itself writes its settings anew now and then.
  const now = await readFile(scratch.path('openclaw.json'), 'utf8');
  await writeFile(scratch.path('openclaw.json'), now.replace('"c": true', '"c": true,\n  "meta": 1'));
  await undo();
  expect(await readFile(scratch.path('openclaw.json'), 'utf8')).toBe(
    '{\n  // mine\n  "a": {"b": 1},\n  "meta": 1\n}\n',
  );
  expect(scratch.lines).toHaveLength(1);
  await writeFile(scratch.path('openclaw.json'), '{\n  // mine\n  "a": {"b": 1}\n}\n');
  expect(Object.keys(await scratch.snapshot())).toEqual(Object.keys(before));
});

test('settings that a person has changed are kept for them, also when a deployment has written them again since', async () => {
  await apply();
  const path = scratch.path('.openclaw-worker/settings.yaml');
  await writeFile(path, 'name: pi\nmine: true\n');
  await apply(scratch.context, {
    notes: [],
    steps: [step('settings', { do: 'write', path, mode: 0o600, owner: 'person', text: 'name: pi2\nmine: true\n' })],
  });
  await undo();
  expect(await readFile(scratch.path('settings.yaml.kept-by-uninstall'), 'utf8')).toBe('name: pi2\nmine: true\n');
  expect(Object.keys(await scratch.snapshot())).toEqual(['settings.yaml.kept-by-uninstall']);
});

/** A machine whose nth command fails: before it has run, or after it as when its answer is lost. */
function failing(nth: number, when: 'before' | 'after', error: Error, machine: Machine = scratch.context.machine) {
  let count = 0;
  const run: Machine['run'] = async (command) => {
    count++;
    if (count === nth && when === 'before') throw error;
    const ran = await machine.run(command);
    if (count === nth) throw error;
    return ran;
  };
  return { machine: { ...machine, run }, count: () => count };
}

function codeOf(error: unknown): string {
  return error instanceof FederationError ? error.code : String(error);
}

const LOST = new FederationError('MACHINE_UNREACHABLE', 'vps was lost on the way', { hint: 'ssh vps' });

/** Commands from one that is lost to the next: odd, so that each half of what alternates comes to all of them. */
const STRIDE = 7;

test.each(['before', 'after'] as const)(
  'a machine that is lost %s a command, wherever it is, is deployed by the next run, and taken back byte for byte',
  async (when) => {
    await furnish();
    const before = await scratch.snapshot();
    for (let nth = when === 'before' ? 1 : 4, ended = false; !ended; nth += STRIDE) {
      const { machine, count } = failing(nth, when, LOST);
      const failed = await apply({ ...scratch.context, machine }).then(() => null, codeOf);
      expect([null, LOST.code]).toContain(failed);
      ended = count() < nth;
      // Half of what a lost deployment left is taken back as it is, the other half after it was resumed.
      if (nth % 4 < 2) await apply();
      if ((await readRecord(scratch.context)) !== null) await undo();
      expect(await scratch.snapshot(), `command ${nth}`).toEqual(before);
    }
    expect(scratch.lines).toEqual([]);
  },
  180_000,
);

test('an uninstall that is lost at a command, wherever it is, is finished by the next', async () => {
  await furnish();
  const before = await scratch.snapshot();
  for (let nth = 2, ended = false; !ended; nth += STRIDE) {
    await apply();
    const { machine, count } = failing(nth, nth % 2 === 0 ? 'before' : 'after', LOST);
    const failed = await undo({ ...scratch.context, machine }).then(() => null, codeOf);
    expect([null, LOST.code, 'STEP_FAILED']).toContain(failed);
    ended = count() < nth;
    if ((await readRecord(scratch.context)) !== null) await undo();
    expect(await scratch.snapshot(), `command ${nth}`).toEqual(before);
  }
}, 180_000);

test('a step that fails says what was done, what was not, and how to go on', async () => {
  await scratch.programs.set('broken');
  const steps: string[] = [];
  const failed: unknown = await applyPlan(plan(), scratch.context, {
    wanted,
    onStep: (id, how) => void steps.push(`${id} ${how}`),
  }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(FederationError);
  expect(failed).toMatchObject({
    code: 'START_FAILED',
    message: 'openclaw-worker.service does not start: and left with 2',
    hint: expect.stringMatching(/journalctl .*-u openclaw-worker\.service -n 20$/) as string,
  });
  expect(steps.at(-1)).toBe('worker failed');
  expect((await readRecord(scratch.context))?.state).toBe('applying');
});

test('a full disk is said to be one, and leaves no half of a record', async () => {
  const full = new FederationError('DISK_FULL', 'can’t write it: no space is left on vps', { hint: 'make room' });
  const { machine } = failing(30, 'before', full);
  await expect(apply({ ...scratch.context, machine })).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect((await readRecord(scratch.context))?.state).toBe('applying');
  await undo();
  expect(await scratch.snapshot()).toEqual({});
});

test('a deployment that is stopped stops at once, and can be taken back', async () => {
  const stopping = new AbortController();
  const context = { ...scratch.context, signal: stopping.signal };
  const waits: Action = {
    ...{ do: 'run', title: 'Wait', argv: ['sh', '-c', 'echo waiting; sleep 300'], owner: 'person' },
    ...{ undo: ['true'], hint: 'wait' },
  };
  const { steps } = plan();
  const applying = apply(context, { notes: [], steps: [...steps, step('wait', waits)] });
  applying.catch(() => undefined);
  await eventually('it waits', () => scratch.lines.includes('waiting'));
  stopping.abort(new Error('enough'));
  await expect(applying).rejects.toMatchObject({
    code: 'STEP_FAILED',
    message: 'stopped before this was so: wait is so',
  });
  await undo();
  expect(await scratch.snapshot()).toEqual({});
});

test('a deployment that is killed in the middle of a change is taken back', async () => {
  await furnish();
  const before = await scratch.snapshot();
  const script = fileURLToPath(new URL('../fixtures/deploying.ts', import.meta.url));
  const argv = ['--conditions=federation-source', script, scratch.context.person.home];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  const entry = (await readRecord(scratch.context))?.entries.at(-1);
  expect(entry).toMatchObject({ key: `write ${scratch.path('openclaw.json')}`, state: 'begun' });
  await undo();
  expect(await scratch.snapshot()).toEqual(before);
});

test('what can’t be taken back is named, keeps nothing else from it, and is taken back later', async () => {
  await apply();
  await writeFile(scratch.path('.openclaw-worker/extra'), '');
  const home = scratch.path('.openclaw-worker');
  const machine: Machine = {
    ...scratch.context.machine,
    run: (command) =>
      command.argv.includes(home) && command.argv.some((word) => word.includes('rm -rf'))
        ? Promise.resolve({ code: 1, stdout: '', stderr: 'rm: Device or resource busy\n' })
        : scratch.context.machine.run(command),
  };
  await expect(undo({ ...scratch.context, machine })).rejects.toMatchObject({
    code: 'STEP_FAILED',
    message: `not all could be taken back: can’t remove ${home}: rm: Device or resource busy`,
  });
  expect((await readRecord(scratch.context))?.entries.map(({ key }) => key)).toEqual(['record', `folder ${home}`]);
  await undo();
  expect(await scratch.snapshot()).toEqual({});
});

test.each([
  ['no JSON', 'it is no JSON'],
  ['{}', 'version'],
  [record({ version: 2 }), 'version'],
  [record({ entries: [entry({ action: { ...folderAt('/home/../etc/x') } })] }), 'entries.0.action.path'],
  [record({ entries: [entry({ action: { ...folderAt('/') } })] }), 'entries.0.action.path'],
  [record({ entries: [entry({ action: { ...folderAt('/home') } })] }), 'entries.0.action.path'],
  [record({ entries: [entry({ before: { was: 'absent', missing: ['/etc'] } })] }), 'entries.0.before.missing.0'],
  [record({ entries: [entry({ before: null })] }), 'entries.0.before'],
  [record({ entries: [entry({ action: { do: 'user', name: '-rf', home: '/a/b' } })] }), 'entries.0.action.name'],
  [record({ entries: [entry({ wrote: ['x'] })] }), 'entries.0.wrote.0'],
])('a record that is none of ours is refused (%$), and nothing is taken back by it', async (text, problem) => {
  const { place } = scratch.context;
  await mkdir(place.backups, { recursive: true });
  await writeFile(place.record, text, { mode: 0o600 });
  await expect(readRecord(scratch.context)).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining(problem) as string,
  });
});

test('a record that others may write, or that is a link, is not trusted', async () => {
  const { place } = scratch.context;
  await apply();
  await chmod(place.record, 0o622);
  await expect(readRecord(scratch.context)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  await scratch.context.machine.run({
    ...{ argv: ['ln', '-sf', '/etc/hostname', place.record], as: 'login', signal: scratch.context.signal },
  });
  await expect(readRecord(scratch.context)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
});

function record(change: object): string {
  return JSON.stringify({ version: 1, wanted, state: 'deployed', entries: [], ...change });
}

function entry(change: object): object {
  const absent = { was: 'absent', missing: [] };
  return { key: 'k', step: 's', action: folderAt('/a/b'), before: absent, wrote: [], state: 'done', ...change };
}

function folderAt(path: string) {
  return { do: 'folder', path, mode: 0o700, owner: 'root' };
}

test('a change of a person’s file is shown as a diff without secrets', () => {
  const now = '{\n  // mine\n  "channels": { "telegram": { "botToken": "12:ab" } },\n  "gateway": {}\n}\n';
  const values = { 'gateway.auth.token': 's3cret', 'gateway.bind': 'loopback' };
  const path = '/home/claw/.openclaw/openclaw.json';
  const secrets = ['gateway.auth.token'];
  const merge = { do: 'merge', path, mode: 0o600, owner: 'person', values, secrets } as const;
  expect(changeText(merge, now)).toMatchInlineSnapshot(`
    "--- /home/claw/.openclaw/openclaw.json
    +++ /home/claw/.openclaw/openclaw.json
    @@ -1,5 +1,10 @@
     {
       // mine
       "channels": { "telegram": { "botToken": "‹secret›" } },
    -  "gateway": {}
    +  "gateway": {
    +    "auth": {
    +      "token": "‹secret›"
    +    },
    +    "bind": "loopback"
    +  }
     }
    "
  `);
  expect(changeText(merge, null)).not.toContain('s3cret');
  const write = { do: 'write', path: '/etc/x', mode: 0o600, owner: 'root', text: 'a\nb\n' } as const;
  expect(changeText(write, 'a\n')).toMatchInlineSnapshot(`
    "--- /etc/x
    +++ /etc/x
    @@ -1,1 +1,2 @@
     a
    +b
    "
  `);
  expect(changeText(write, 'a\nb\n')).toBe('');
  expect(changeText({ ...write, secret: true }, 'hush\n')).toBe('/etc/x: ‹secret› becomes another\n');
});
