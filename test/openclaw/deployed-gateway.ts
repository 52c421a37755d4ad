import { mkdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { thisMachine } from '#src/adapters/machine/local.ts';
import type { Person } from '#src/adapters/machine/machine.ts';
import type { Plan } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { applyPlan } from '#src/deploy/apply.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Place } from '#src/deploy/place.ts';
import { placeOf } from '#src/deploy/place.ts';
import { planDeployment } from '#src/deploy/plan.ts';
import { readRecord } from '#src/deploy/record/file.ts';
import { archiveOf } from '#src/deploy/release/archive.ts';
import { packageTree } from '#src/deploy/release/package-tree.ts';
import { undoDeployment } from '#src/deploy/undo.ts';
import { bareMachine, changed, wantedOf } from '../support/facts.ts';
import { OWNER } from '../support/telegram-api.ts';
import type { DeployedTo } from './chat-federation.ts';
import { OPENCLAW } from './small-federation.ts';

const BOT_TOKEN = `123456789:${'T_-35'.repeat(7)}`;

/** A gateway in a home of its own, as `deploy-federation master` leaves it, but for the units. */
export interface DeployedGateway {
  readonly place: Place;
  readonly person: Person;
  /** How the machine stands now, as far as the gateway matters. */
  facts(): Promise<Facts>;
  /** The steps of the gateway that another run would do something for, without the flags for Telegram. */
  again(): Promise<readonly string[]>;
  /** Lets another release run. */
  release(name: string, prepare?: (plugin: string) => Promise<void>): Promise<void>;
  undo(): Promise<void>;
}

const WANTED = wantedOf({ role: 'master', master: null, token: null, scope: 'user', telegram: [String(OWNER)] });

/** Makes a release of the package, and has the gateway of `home` told of it and of a Telegram bot. */
export async function deployGateway(
  home: string,
  { port, token, hub, plugin }: DeployedTo,
  prepare?: (plugin: string) => Promise<void>,
): Promise<DeployedGateway> {
  const { username: name, uid } = userInfo();
  const person: Person = { name, uid, group: name, home };
  const place = placeOf('user', person);
  const context: Context = {
    ...{ machine: thisMachine(), place, person, joinToken: null, progress: () => undefined, packageFolder: plugin },
    mint: () => Promise.reject(new Error('nothing is minted here')),
    signal: new AbortController().signal,
  };
  const given = {
    ...{ release: { name: 'test', node: null }, unit: () => '[Unit]\n', policyExample: '', secret: token },
    telegramToken: BOT_TOKEN,
  };

  async function facts(): Promise<Facts> {
    const [settings, bot] = await Promise.all([place.openclawSettings, place.telegramToken].map(factOf));
    return changed(bareMachine({}, 'user', person), {
      gateway: { settings: settings ?? null, port },
      openclaw: { program: OPENCLAW, version: '2026.9.6' },
      node: { program: process.execPath, version: process.versions.node },
      files: [
        [place.openclawSettings, settings ?? null],
        [place.telegramToken, bot ?? null],
      ],
      folders: await Promise.all(
        [place.openclawState, place.openclawPluginSkills].map(async (path) => [path, await standing(path)] as const),
      ),
    });
  }

  async function factOf(path: string) {
    const found = await standing(path);
    return found === null ? null : { ...found, text: await readFile(path, 'utf8') };
  }

  async function standing(path: string) {
    const found = await stat(path).catch(() => null);
    return found === null ? null : { mode: found.mode & 0o777, owner: name };
  }

  function ofGateway({ steps, notes }: Plan): Plan {
    return { steps: steps.filter(({ id }) => ['gateway-settings', 'telegram'].includes(id)), notes };
  }

  async function release(version: string, change?: (plugin: string) => Promise<void>): Promise<void> {
    const folder = join(place.prefix, 'releases', version);
    await mkdir(folder, { recursive: true });
    const archive = await archiveOf({ name: version, packages: await packageTree(plugin), node: null }, context);
    await execa('tar', ['-xf', '-', '-C', folder], { input: archive.stream(false, () => undefined) });
    await archive.dispose();
    await change?.(join(folder, basename(place.plugin)));
    await rm(place.current, { force: true });
    await symlink(folder, place.current);
  }

  await release('first', prepare);
  await symlink(hub, place.hubHome);
  const plan = ofGateway(planDeployment(await facts(), WANTED, given));
  await applyPlan(plan, context, { wanted: WANTED, onStep: () => undefined });
  return {
    place,
    person,
    facts,
    release,
    async again() {
      const { telegramToken: _said, ...later } = given;
      const { steps } = ofGateway(planDeployment(await facts(), WANTED, later));
      return steps.filter(({ actions }) => actions.length > 0).map(({ id }) => id);
    },
    async undo() {
      const record = await readRecord(context);
      if (record === null) throw new Error('nothing is deployed');
      await undoDeployment(record, context, { keepData: false, keepTailscale: false, onStep: () => undefined });
    },
  };
}
