import { parse, printParseErrorCode } from 'jsonc-parser';
import type { ParseError } from 'jsonc-parser';
import type { Action, Step, UnitName } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { folderIn } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import { valueAt } from '#src/deploy/settings-value.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { pluginNotes, pluginSkillsFolder, pluginValues } from '#src/deploy/plan/plugin.ts';
import { isNewRelease } from '#src/deploy/plan/program.ts';
import { telegramSteps } from '#src/deploy/plan/telegram.ts';
import { isRunning, unitActions } from '#src/deploy/plan/units.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

const GATEWAY_UNIT = 'openclaw-gateway.service';

/** What a master's gateway is told where nobody said it otherwise. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  'gateway.mode': 'local',
  'gateway.bind': 'loopback',
  'gateway.auth.mode': 'token',
  'gateway.nodes.pairing.sshVerify': false,
  'discovery.mdns.mode': 'off',
  'update.checkOnStart': false,
  'tools.exec.notifyOnExit': false,
};

/** What has to be so: every node that our hub carries to the gateway looks local to it. */
const REQUIRED: Readonly<Record<string, unknown>> = { 'gateway.nodes.pairing.autoApproveLocal': false };

const TOKEN = 'gateway.auth.token';
const PRIVATE = 0o600;

export interface GatewayPlan {
  readonly steps: readonly Step[];
  readonly token: string;
  /** Permission bits of its settings. */
  readonly mode: number;
  readonly notes: readonly string[];
}

/**
 * The person's gateway on the master: its own service where it has one, else one of ours; our plugin is in it. Throws
 * SETTINGS_INVALID for settings that can't be worked with, PORT_IN_USE where something without a service has its port,
 * and USAGE where the token of a Telegram bot is needed once more.
 */
export function gatewayPlan(facts: Facts, wanted: Wanted, given: Given): GatewayPlan {
  const { gateway, place } = facts;
  const path = place.openclawSettings;
  const settings = read(path, gateway.settings?.text ?? '{}');
  const token = tokenOf(settings, given);
  const values = { ...missing(settings, { [TOKEN]: token }), ...pluginValues(settings, facts) };
  const mode = mergedMode(gateway.settings?.mode ?? PRIVATE, values);
  const actions: Action[] = needed(facts, [
    {
      do: 'folder',
      path: place.openclawState,
      mode: folderIn(facts, place.openclawState)?.mode ?? 0o700,
      owner: 'person',
    },
    pluginSkillsFolder(facts),
    {
      do: 'merge',
      path,
      mode,
      owner: 'person',
      values,
      secrets: [TOKEN],
    },
  ]);
  const telegram = telegramSteps(facts, wanted, given, { settings, mode });
  const isTold = [...actions, ...telegram.flatMap((step) => step.actions)].some(({ do: kind }) => kind !== 'folder');
  // The plugin is a part of the release: a gateway that runs on would go on with the old one.
  const restart = isTold || isNewRelease(facts, given);
  return {
    token,
    mode,
    notes: [...notesOn(settings), ...pluginNotes(settings)],
    steps: [
      { id: 'gateway-settings', title: 'OpenClaw’s gateway is set up for nodes', actions },
      ...telegram,
      {
        id: 'gateway',
        title: 'OpenClaw’s gateway runs',
        actions: [...serviceActions(facts, given, restart), { do: 'gateway-ready', port: gateway.port }],
      },
    ],
  };
}

/** Whoever reads the token is the gateway's operator: a file that others might read is closed when it gets one. */
function mergedMode(mode: number, values: Readonly<Record<string, unknown>>): number {
  return Object.hasOwn(values, TOKEN) ? mode & PRIVATE : mode;
}

function read(path: string, text: string): unknown {
  const errors: ParseError[] = [];
  const settings: unknown = parse(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error === undefined) return settings;
  throw new FederationError(
    'SETTINGS_INVALID',
    `${path} can’t be merged with: ${printParseErrorCode(error.error)} at character ${error.offset}`,
    { hint: `write it as JSON (openclaw config validate), or move ${path} away` },
  );
}

function tokenOf(settings: unknown, { secret }: Given): string {
  const mode = valueAt(settings, 'gateway.auth.mode');
  if (mode !== undefined && mode !== 'token') {
    throw new FederationError('SETTINGS_INVALID', 'the gateway does not authenticate by a token', {
      hint: 'openclaw config set gateway.auth.mode token',
    });
  }
  const token = valueAt(settings, 'gateway.auth.token');
  if (token === undefined) return secret;
  if (typeof token === 'string' && token.length >= 16 && !token.includes('${')) return token;
  throw new FederationError('SETTINGS_INVALID', 'the gateway’s token is too short, or not in its settings itself', {
    hint: 'openclaw config unset gateway.auth.token (a new one is made)',
  });
}

function missing(settings: unknown, more: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const wanted = Object.entries({ ...DEFAULTS, ...more });
  const absent = wanted.filter(([path]) => valueAt(settings, path) === undefined);
  return { ...Object.fromEntries(absent), ...REQUIRED };
}

function notesOn(settings: unknown): string[] {
  const bind = valueAt(settings, 'gateway.bind');
  const isWide = typeof bind === 'string' && bind !== 'loopback';
  return isWide
    ? [`the gateway listens beyond loopback (gateway.bind: ${bind}); nodes of a federation don’t need that`]
    : [];
}

function serviceActions(facts: Facts, given: Given, restart: boolean): Action[] {
  const { gateway } = facts;
  if (gateway.unit !== null) return needed(facts, [theirs(facts, gateway.unit, restart)]);
  const ours: UnitName = { name: GATEWAY_UNIT, scope: facts.place.scope };
  if (gateway.listening && !isRunning(facts, ours)) {
    throw new FederationError('PORT_IN_USE', `a gateway without a service listens on port ${gateway.port}`, {
      hint: 'make it a service (openclaw gateway install), or stop it',
    });
  }
  return unitActions(facts, given, [GATEWAY_UNIT], restart);
}

function theirs(facts: Facts, unit: UnitName, restart: boolean): Action {
  return { do: 'unit', unit, want: { enabled: true, active: true }, restart: restart && isRunning(facts, unit) };
}
