import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { lastWords, perform } from '#src/adapters/machine/perform.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { systemCommand, systemctl } from '#src/deploy/actions/systemctl.ts';
import { keepsFailing, notStarted } from '#src/deploy/actions/unit-failure.ts';
import { unitIn } from '#src/deploy/facts.ts';

export interface BeforeUnit {
  /** As `systemctl is-enabled` says it: enabled, disabled, static, masked, not-found … */
  readonly enabled: string;
  readonly active: boolean;
}

/** Of our own: the hub pulls it in, so it may run before its turn comes, and did not before ours. */
const PULLED_IN: ReadonlySet<string> = new Set(['federation-hub-plugin.socket']);

const START_MS = 60_000;
const ASK_MS = 200;

export const unit: ActionKind<'unit', BeforeUnit> = {
  key: ({ unit: { name, scope } }) => `unit ${scope}/${name}`,
  isSo: ({ unit: name, want, restart }, facts) => !restart && isDeepStrictEqual(unitIn(facts, name), want),
  isTailnet: ({ unit: { name } }) => name === 'tailscaled.service',
  describe({ unit: { name }, want, restart }) {
    const enabled = `${want.enabled ? 'enable' : 'disable'} ${name}`;
    if (!want.active) return `${enabled} and stop it`;
    return `${enabled} and ${restart ? 'restart' : 'start'} it`;
  },
  async before({ unit: { name, scope } }, context) {
    const enabled = await systemctl(context, scope, ['is-enabled', name]);
    const active = !PULLED_IN.has(name) && (await isActive(context, { name, scope }));
    return { enabled: enabled.stdout.trim() || 'not-found', active };
  },
  async apply({ unit: name, want, restart }, context) {
    await ask(context, name, want.enabled ? 'enable' : 'disable');
    if (want.active) await start(context, name, restart ? 'restart' : 'start');
    else await ask(context, name, 'stop');
  },
  async undo({ unit: name }, before, context) {
    if ((await loadState(context, name)) === 'not-found') return;
    if (!before.active) await ask(context, name, 'stop');
    await ask(context, name, ...enabling(before.enabled));
    if (before.active && !(await isActive(context, name))) await start(context, name, 'start');
  },
};

function enabling(before: string): readonly [string, ...string[]] {
  if (before === 'enabled') return ['enable'];
  return before === 'enabled-runtime' ? ['enable', '--runtime'] : ['disable'];
}

async function ask(context: Context, { name, scope }: UnitName, ...words: readonly [string, ...string[]]) {
  const command = systemCommand(context, scope, 'systemctl', [...words, name]);
  const hint = scope === 'user' ? `systemctl --user status ${name}` : `systemctl status ${name}`;
  await perform(context.machine, command, { what: `${words[0]} ${name}`, hint });
}

/** Throws START_FAILED with the last words of the unit where it does not come up. */
async function start(context: Context, name: UnitName, verb: 'start' | 'restart'): Promise<void> {
  // One that failed too often may only be started again after this; where it did not, this fails and changes nothing.
  await systemctl(context, name.scope, ['reset-failed', name.name]);
  const started = await systemctl(context, name.scope, [verb, name.name]);
  if (started.code === 0 && (await becomesActive(context, name))) return;
  throw await notStarted(context, name, lastWords(started));
}

async function becomesActive(context: Context, name: UnitName): Promise<boolean> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    const { stdout } = await systemctl(context, name.scope, ['is-active', name.name]);
    const state = stdout.trim();
    if (state === 'active') return true;
    if (state !== 'activating' && state !== 'reloading') return false;
    if (await keepsFailing(context, name)) return false;
    await pause(ASK_MS, undefined, { signal: context.signal });
  }
  return false;
}

async function isActive(context: Context, { name, scope }: UnitName): Promise<boolean> {
  const { stdout } = await systemctl(context, scope, ['is-active', name]);
  return ['active', 'activating', 'reloading'].includes(stdout.trim());
}

async function loadState(context: Context, { name, scope }: UnitName): Promise<string> {
  const { stdout } = await systemctl(context, scope, ['show', '--property', 'LoadState', '--value', name]);
  return stdout.trim();
}
