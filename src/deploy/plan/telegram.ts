import { FederationError } from '#src/core/errors.ts';
import type { Action, Step } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import { needed } from '#src/deploy/plan/already.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { isMap, listAt, valueAt } from '#src/deploy/settings-value.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

const CHANNEL = 'channels.telegram';
const OWNERS = 'commands.ownerAllowFrom';

/** The gateway's, as they are before the deployment, and the permissions that their file is to have. */
interface GatewaySettings {
  readonly settings: unknown;
  readonly mode: number;
}

/**
 * People talk to the agent by a Telegram bot, and are the owner to it. What is said now counts; else a person may have
 * changed it since, and only what is missing is added. Throws USAGE where the token is needed once more,
 * SETTINGS_INVALID where the gateway has several bots.
 */
export function telegramSteps(
  facts: Facts,
  { telegram }: Wanted,
  given: Given,
  { settings, mode }: GatewaySettings,
): Step[] {
  if (telegram === null) return [];
  const { place } = facts;
  checkOneBot(settings);
  const token = given.telegramToken ?? null;
  if (token === null && fileIn(facts, place.telegramToken) === null) throw tokenNeeded(telegram);
  const path = place.openclawSettings;
  const values = telegramValues(settings, telegram, place.telegramToken, token !== null);
  const actions: Action[] = [
    ...(token === null ? [] : [tokenFile(place.telegramToken, token)]),
    { do: 'merge', path, mode, owner: 'person', values, secrets: [] },
  ];
  return [{ id: 'telegram', title: 'the agent answers at Telegram', actions: needed(facts, actions) }];
}

/** A file of its own: who reads or shows the settings does not come by it. */
function tokenFile(path: string, token: string): Action {
  return { do: 'write', path, mode: 0o600, owner: 'person', text: `${token}\n`, secret: true };
}

function telegramValues(settings: unknown, ids: readonly string[], file: string, isSaidNow: boolean) {
  const elsewhere = (listAt(settings, OWNERS) ?? []).filter((owner) => !/^(?:telegram:)?\d+$/.test(String(owner)));
  const said: Record<string, unknown> = {
    [`${CHANNEL}.enabled`]: true,
    [`${CHANNEL}.tokenFile`]: file,
    // Who is not on the list gets no answer at all.
    [`${CHANNEL}.dmPolicy`]: 'allowlist',
    [`${CHANNEL}.allowFrom`]: ids,
    [OWNERS]: [...elsewhere, ...ids.map((id) => `telegram:${id}`)],
    // Buttons for what policy wants to be approved.
    [`${CHANNEL}.execApprovals.enabled`]: true,
    [`${CHANNEL}.execApprovals.approvers`]: ids,
    'approvals.plugin.enabled': true,
  };
  const usual: Record<string, unknown> = {
    'approvals.plugin.mode': 'session',
    // What a command prints is seen while it runs.
    [`${CHANNEL}.streaming.mode`]: 'progress',
    [`${CHANNEL}.streaming.progress.toolProgress`]: true,
  };
  return isSaidNow ? { ...said, ...absent(settings, usual) } : absent(settings, { ...said, ...usual });
}

function absent(settings: unknown, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([path]) => valueAt(settings, path) === undefined));
}

/** Which of them is meant nobody has said, and the token of one of them would count before ours. */
function checkOneBot(settings: unknown): void {
  const accounts = valueAt(settings, `${CHANNEL}.accounts`);
  if (!isMap(accounts) || Object.keys(accounts).length === 0) return;
  throw new FederationError('SETTINGS_INVALID', `the gateway has bots of its own (${CHANNEL}.accounts)`, {
    hint: `leave the flags for Telegram out, and name people there by hand: ${CHANNEL}.accounts.*.allowFrom, ${OWNERS}`,
  });
}

function tokenNeeded(ids: readonly string[]): FederationError {
  return new FederationError('USAGE', 'the bot’s token is needed once more', {
    hint: `deploy-federation master --telegram-token-file FILE --telegram-allow ${ids.join(',')}`,
  });
}
