import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Machine } from '#src/adapters/machine/machine.ts';
import type { Plan } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { applyPlan } from '#src/deploy/apply.ts';
import type { Place } from '#src/deploy/place.ts';
import { placeOf } from '#src/deploy/place.ts';
import { readRecord } from '#src/deploy/record/file.ts';
import { undoDeployment } from '#src/deploy/undo.ts';
import { wantedOf } from '../support/facts.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

let scratch: ScratchMachine;
let context: Context;
/** In whose name the programs ran that would have. */
let ranAs: string[];

beforeEach(async () => {
  scratch = await scratchMachine();
  ranAs = [];
  context = {
    ...scratch.context,
    place: placeBelow(scratch.path('root')),
    machine: everybody(scratch.context.machine),
  };
});

afterEach(() => scratch.dispose());

/** Where root deploys, below a folder of ours. */
function placeBelow(root: string): Place {
  const entries = Object.entries(placeOf('system', scratch.context.person)).map(([key, value]): [string, unknown] => {
    const isRoots = typeof value === 'string' && value.startsWith('/') && !value.startsWith(scratch.root);
    return [key, isRoots ? join(root, value) : value];
  });
  return Object.fromEntries(entries) as unknown as Place;
}

/** A machine whose root, and every other user, is who runs the test. */
function everybody(machine: Machine): Machine {
  const { uid, gid } = userInfo();
  return {
    ...machine,
    async run(command) {
      const { argv, as } = command;
      ranAs.push(`${typeof as === 'string' ? as : as.name}: ${argv.join(' ')}`);
      if (argv[2]?.startsWith('id -u')) return { code: 0, stdout: `${uid}\n${userInfo().username}\n`, stderr: '' };
      const [program, ...words] = argv.map((word) => (word === '0:0' ? `${uid}:${gid}` : word));
      const ran = await machine.run({ ...command, argv: [program!, ...words], as: 'login' });
      if (!argv[2]?.includes('stat -c')) return ran;
      return { ...ran, stdout: ran.stdout.replace(` ${uid} ${gid} `, ' 0 0 ') };
    },
  };
}

function plan(): Plan {
  const { place } = context;
  const unit = { name: 'federation-hub.service', scope: 'system' } as const;
  return {
    notes: [],
    steps: [
      {
        id: 'hub-home',
        title: 'the hub has a home',
        actions: [
          { do: 'user', name: place.hubUser!, home: place.hubHome },
          { do: 'folder', path: place.hubHome, mode: 0o700, owner: 'hub' },
          { do: 'write', path: place.hubSettings, mode: 0o600, owner: 'hub', text: 'role: master\n' },
        ],
      },
      {
        id: 'hub',
        title: 'the hub runs',
        actions: [
          { do: 'write', path: join(place.units, unit.name), mode: 0o644, owner: 'root', text: '[Unit]\n' },
          { do: 'reload', scope: 'system' },
          { do: 'unit', unit, want: { enabled: true, active: true }, restart: false },
        ],
      },
    ],
  };
}

async function apply(): Promise<void> {
  await applyPlan(plan(), context, { wanted: wantedOf({ token: null }), onStep: () => undefined });
}

async function undo(keepData: boolean): Promise<void> {
  const record = await readRecord(context);
  await undoDeployment(record!, context, { keepData, keepTailscale: false, onStep: () => undefined });
}

test('what root deploys is taken back whole', async () => {
  await apply();
  expect((await stat(context.place.hubHome)).mode & 0o777).toBe(0o700);
  expect(await readFile(context.place.hubSettings, 'utf8')).toBe('role: master\n');
  await undo(false);
  expect(await scratch.snapshot()).toEqual({});
  const calls = await scratch.programs.calls();
  expect(calls).toContain('userdel openclaw-federation');
  expect(calls).toContain('systemctl disable federation-hub.service');
});

test('each user’s things are changed in their name, and the record in root’s', async () => {
  await apply();
  const writers = (path: string) =>
    new Set(
      ranAs.filter((call) => call.includes(` ${path} `) && call.includes('fresh=')).map((call) => call.split(':')[0]),
    );
  expect(writers(context.place.hubSettings)).toEqual(new Set(['openclaw-federation']));
  expect(writers(context.place.record)).toEqual(new Set(['root']));
  expect(writers(join(context.place.units, 'federation-hub.service'))).toEqual(new Set(['root']));
});

test('the hub’s user stays with the data that it owns, and goes with it', async () => {
  await apply();
  await undo(true);
  expect(await readFile(context.place.hubSettings, 'utf8')).toBe('role: master\n');
  expect((await scratch.programs.calls()).filter((call) => call.startsWith('userdel'))).toEqual([]);
  expect((await readRecord(context))?.state).toBe('kept');
  await undo(false);
  expect(await scratch.programs.calls()).toContain('userdel openclaw-federation');
  expect(await scratch.snapshot()).toEqual({});
});
