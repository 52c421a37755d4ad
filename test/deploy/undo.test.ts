import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sudoWords } from '#src/adapters/machine/become.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import { PROVIDER_DEFAULTS, providerSettings } from '#src/core/models/openclaw-provider.ts';
import type { Action, Plan } from '#src/deploy/action.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import { applyPlan } from '#src/deploy/apply.ts';
import { mend } from '#src/deploy/doctor/mend.ts';
import { readRecord } from '#src/deploy/record/file.ts';
import { isKept, undoDeployment } from '#src/deploy/undo.ts';
import { bareMachine, wantedOf } from '../support/facts.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

let scratch: ScratchMachine;

beforeEach(async () => {
  scratch = await scratchMachine();
});

afterEach(() => scratch.dispose());

const HUB_HOME = '/var/lib/openclaw-federation';
const unit = (name: string): Action => ({
  ...{ do: 'unit', unit: { name, scope: 'system' }, want: { enabled: true, active: true }, restart: false },
});

test.each<[what: string, Action, kept: 'data' | 'tailscale' | null]>([
  ['the hub’s user', { do: 'user', name: 'openclaw-federation', home: HUB_HOME }, 'data'],
  ['the hub’s home', { do: 'folder', path: HUB_HOME, mode: 0o700, owner: 'hub' }, 'data'],
  ['the hub’s settings', write(`${HUB_HOME}/settings.yaml`), 'data'],
  ['a neighbour of the hub’s home', write(`${HUB_HOME}-2/settings.yaml`), null],
  ['a unit', write('/etc/systemd/system/federation-hub.service'), null],
  ['Tailscale', { do: 'tailscale', url: 'https://pkgs.example/tailscale.tgz' }, 'tailscale'],
  ['Tailscale’s package', run('apt-get', 'install', 'tailscale'), 'tailscale'],
  ['OpenClaw', run('npm', 'install', 'openclaw'), null],
  ['tailscaled', unit('tailscaled.service'), 'tailscale'],
  ['the hub', unit('federation-hub.service'), null],
  ['the login', { do: 'tailnet', authKeyFile: null, loginServer: null, hostname: null }, 'tailscale'],
])('%s is kept where a person wants that', (_, action, kept) => {
  const { place } = bareMachine();
  expect(isKept(action, place, { keepData: true, keepTailscale: false })).toBe(kept === 'data');
  expect(isKept(action, place, { keepData: false, keepTailscale: true })).toBe(kept === 'tailscale');
});

test('a person’s OpenClaw that was led to the models of the federation has its own settings back, byte for byte', async () => {
  const path = scratch.path('openclaw.json');
  const own =
    '{\n\t"agents": { "defaults": {} }, // mine\n  "models": { "providers": { "own": { "models": [] } } }\n}\n';
  await writeFile(path, own, { mode: 0o640 });
  const values = { ...providerSettings({ port: 19_001, keyFile: '/home/sam/models.key' }), ...PROVIDER_DEFAULTS };
  const action: Action = { do: 'merge', path, mode: 0o640, owner: 'person', values, secrets: [] };
  const plan = { notes: [], steps: [{ id: 'models', title: 'models', actions: [action] }] };
  await applyPlan(plan, scratch.context, applying());
  const led = await readFile(path, 'utf8');
  expect(led).toContain('"baseUrl": "http://127.0.0.1:19001/v1"');
  expect(led).toContain('// mine');
  const record = await readRecord(scratch.context);
  await undoDeployment(record!, scratch.context, { keepData: false, keepTailscale: false, onStep: () => undefined });
  expect(await readFile(path, 'utf8')).toBe(own);
  expect((await stat(path)).mode & 0o777).toBe(0o640);
});

test('what lingered before a deployment lingers after it', async () => {
  const { context } = scratch;
  const linger = { do: 'linger', user: 'sam' } as const;
  await kindOf(linger).undo(linger, { lingered: true }, context, () => true);
  expect(await scratch.programs.calls()).toEqual([]);
});

test('a removal comes to its end on a disk that has no room for the record of it', async () => {
  await applyPlan(planOf('one'), scratch.context, applying());
  const full = new FederationError('DISK_FULL', 'no space is left');
  const record = await readRecord(scratch.context);
  const machine: Machine = {
    ...scratch.context.machine,
    run: (command) => (command.input === undefined ? scratch.context.machine.run(command) : Promise.reject(full)),
  };
  const undoing = { keepData: false, keepTailscale: false, onStep: () => undefined };
  await undoDeployment(record!, { ...scratch.context, machine }, undoing);
  expect(await scratch.snapshot()).toEqual({});
});

test('a wish that changes nothing of the machine is remembered too', async () => {
  await applyPlan(planOf('one'), scratch.context, applying());
  await applyPlan({ steps: [], notes: [] }, scratch.context, applying({ keepGateway: true }));
  expect(await readRecord(scratch.context)).toMatchObject({ state: 'deployed', wanted: { keepGateway: true } });
});

test('what a deployment that was cut off has begun is done when the next has ended', async () => {
  const missing: Action = { do: 'token', path: scratch.path('token') };
  const { steps } = planOf('one');
  const cut = { notes: [], steps: [...steps, { id: 'token', title: 'it may join', actions: [missing] }] };
  await expect(applyPlan(cut, scratch.context, applying())).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  const begun = await readRecord(scratch.context);
  expect(begun?.entries.at(-1)).toMatchObject({ key: `token ${scratch.path('token')}`, state: 'begun' });
  await applyPlan(planOf('two'), scratch.context, applying());
  const states = (await readRecord(scratch.context))?.entries.map(({ state }) => state);
  expect(states).toEqual(['done', 'done', 'done', 'done']);
});

test('a machine that is lost while it is mended is not a thing that can’t be mended', async () => {
  const lost = new FederationError('MACHINE_UNREACHABLE', 'vps was lost on the way');
  const { context } = scratch;
  const machine: Machine = { ...context.machine, run: () => Promise.reject(lost) };
  const fix = [{ do: 'reload', scope: 'user' }] as const;
  const finding = { check: 'unit', state: 'fail', found: 'it is gone', fix } as const;
  await expect(mend([finding], machine, context, context.signal, () => undefined)).rejects.toBe(lost);
});

test('sudo never asks a terminal for a password', () => {
  expect(sudoWords('quiet').slice(0, 2)).toEqual(['sudo', '-n']);
  expect(sudoWords({ gate: 'x' }).slice(0, 2)).toEqual(['sudo', '-S']);
});

function planOf(name: string): Plan {
  const action: Action = { ...write(scratch.path(name)), owner: 'person' };
  return { notes: [], steps: [{ id: name, title: `${name} is so`, actions: [action] }] };
}

function applying(change: { readonly keepGateway?: boolean } = {}) {
  return { wanted: wantedOf({ scope: 'user', token: null, ...change }), onStep: () => undefined };
}

function write(path: string) {
  return { do: 'write', path, mode: 0o644, owner: 'root', text: 'ours\n' } as const;
}

function run(...argv: [string, ...string[]]): Action {
  return { do: 'run', title: 'Install it', argv, owner: 'root', undo: null, hint: 'look' };
}
