import { z } from 'zod';
import type { UnitState } from '#src/deploy/action.ts';
import type { Scope } from '#src/deploy/place.ts';
import type { Answers } from '#src/deploy/gathering/answers.ts';
import { flag, word } from '#src/deploy/gathering/answers.ts';

/** Units that a deployment has to do with, in either scope. */
export const UNITS = [
  'federation-hub.service',
  'federation-hub.socket',
  'federation-hub-plugin.socket',
  'auto-register.service',
  'auto-register.path',
  'openclaw-worker.service',
  'openclaw-gateway.service',
  'tailscaled.service',
] as const;

export const GATEWAY_UNIT = 'openclaw-gateway.service';

export function unitQuestions(scope: Scope) {
  return UNITS.map((name) => ['unit', scope, name, name === GATEWAY_UNIT ? 'command' : ''] as const);
}

const unitSchema = z.object({ state: word.optional(), command: word.optional(), file: flag, wanted: flag });

/**
 * How a unit stands; null: there is none. One that is to be started again in a moment counts as active. A manager that
 * doesn’t run has no active units, and enabled those that its folders want.
 */
export function unitState(
  answers: Answers,
  [, scope, name, more]: ReturnType<typeof unitQuestions>[number],
): UnitState | null {
  const { state, file, wanted } = answers.to(['unit', scope, name, more], unitSchema);
  if (state === undefined) return file ? { enabled: wanted, active: false } : null;
  const properties = new Map(state.split('\n').map((line) => line.split('=', 2) as [string, string]));
  if (properties.get('LoadState') === 'not-found') return null;
  return {
    enabled: ['enabled', 'enabled-runtime'].includes(properties.get('UnitFileState') ?? ''),
    active: ['active', 'activating', 'reloading'].includes(properties.get('ActiveState') ?? ''),
  };
}

/** The port that a gateway’s unit was given on its command line. */
export function gatewayPort(answers: Answers, scope: Scope): number | null {
  const { command = '' } = answers.to(['unit', scope, GATEWAY_UNIT, 'command'], unitSchema);
  const port = Number(/\s--port[ =](\d{1,5})(?=\s|$)/.exec(command)?.[1] ?? 0);
  return port > 0 && port < 65_536 ? port : null;
}
