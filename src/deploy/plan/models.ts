import { join } from 'node:path/posix';
import { parse } from 'jsonc-parser';
import type { ParseError } from 'jsonc-parser';
import { PROVIDER_DEFAULTS, providerSettings } from '#src/core/models/openclaw-provider.ts';
import { MODELS_KEY_FILE, USUAL_MODELS_PORT } from '#src/core/models/share.ts';
import type { Plan } from '#src/deploy/action.ts';
import { readSettings } from '#src/deploy/doctor/settings.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import { valueAt } from '#src/deploy/settings-value.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

const NONE: Plan = { steps: [], notes: [] };

/**
 * The OpenClaw of a master, or of a person who asked for it, can use the models of the federation. It comes behind the worker:
 * OpenClaw reads the key when it is told of it, and the worker daemon makes that. `mode`: of OpenClaw’s settings. What
 * can’t be edited is left alone, with a note: nothing else depends on it.
 */
export function modelsPlan(facts: Facts, wanted: Wanted, mode: number): Plan {
  const { place, gateway } = facts;
  const port = leadsOpenClaw(wanted) ? modelsPort(facts) : null;
  if (port === null) return NONE;
  const path = place.openclawSettings;
  if (wanted.role !== 'master' && gateway.settings === null) {
    return { steps: [], notes: [`there is no OpenClaw here that could use models: nobody has written ${path}`] };
  }
  if (port === 'taken') {
    const text = `another program has the port ${USUAL_MODELS_PORT}: deploy again when the worker runs, for chats to have the models of other nodes`;
    return { steps: [], notes: [text] };
  }
  const errors: ParseError[] = [];
  const settings: unknown = parse(gateway.settings?.text ?? '{}', errors, { allowTrailingComma: true });
  if (errors.length > 0) {
    return {
      steps: [],
      notes: [`${path} is no JSON; without models.providers.federation in it, chats have no models of other nodes`],
    };
  }
  const keyFile = join(place.workerHome, MODELS_KEY_FILE);
  const absent = Object.entries(PROVIDER_DEFAULTS).filter(([key]) => valueAt(settings, key) === undefined);
  const values = { ...providerSettings({ port, keyFile }), ...Object.fromEntries(absent) };
  const step = {
    id: 'models',
    title: 'OpenClaw can use the models of the federation',
    actions: needed(facts, [{ do: 'merge', path, mode, owner: 'person', values, secrets: [] }]),
  };
  return { steps: [step], notes: [] };
}

/** Whether the gateway here is one that we set up, or the person’s, who asked for it: theirs is not touched unasked. */
export function leadsOpenClaw({ role, light, useModels }: Wanted): boolean {
  return role === 'master' ? !light : useModels;
}

/** Port of the worker’s model proxy; null where there is none, or nobody knows before it runs. */
function modelsPort(facts: Facts): number | 'taken' | null {
  const { settings } = readSettings(fileIn(facts, facts.place.workerSettings)?.text ?? '');
  if (settings === null || !settings.models.enabled || settings.models.port === 0) return null;
  if (settings.models.port !== undefined) return settings.models.port;
  const own = facts.worker?.models?.port ?? null;
  if (own !== null) return own;
  // OpenClaw would show the key of this node to whoever listens there.
  return facts.ports.some(({ port }) => port === USUAL_MODELS_PORT) ? 'taken' : USUAL_MODELS_PORT;
}
