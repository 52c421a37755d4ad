import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { parseJoinToken } from '#src/core/join-token.ts';
import type { ActionOf } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { filesAs } from '#src/deploy/actions/context.ts';
import type { ActionKind } from '#src/deploy/actions/kind.ts';
import { jsonAs } from '#src/deploy/json.ts';
import type { Answered } from '#src/deploy/ask-from.ts';
import { askHub } from '#src/deploy/ask-hub.ts';
import { tailnetAddresses } from '#src/deploy/tailnet-addresses.ts';
import { runningWorker } from '#src/deploy/worker-standing.ts';
import type { Health } from '#src/protocol/hub-api/status.ts';
import type { JoinTokenView } from '#src/protocol/hub-api/token.ts';
import { errorSchema } from '#src/protocol/hub-api/error.ts';
import { healthSchema } from '#src/protocol/hub-api/status.ts';
import { joinTokenSchema } from '#src/protocol/hub-api/token.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

export interface HubFound {
  readonly health: Health;
  /** What the token is good for; null without one. */
  readonly token: JoinTokenView | null;
}

export const knock: ActionKind<'knock'> = {
  key: () => null,
  isCheck: true,
  describe: ({ hub }) => `look whether the hub at ${hubAddressText(hub)} answers`,
  before: () => Promise.resolve(null),
  async apply({ hub, node, memberOf }, context) {
    const { machine, joinToken, signal } = context;
    try {
      const { health, token } = await patiently(() => knockAtHub(machine, hub, joinToken, signal), signal);
      if (memberOf !== null && token === null && health.hubId !== memberOf) throw another(hub);
      if (token !== null) checkToken(token, node);
    } catch (error) {
      if (memberOf === null && joinToken !== null && isSpent(error) && (await isLetIn(context, joinToken))) return;
      throw error;
    }
  },
  undo: () => Promise.resolve(),
};

/** A tailnet that has just come up finds its machines, and their names, a few seconds later. */
const COMING_MS = 8000;
const ASK_MS = 250;

/** Knocks until somebody answers, or the time is over. */
async function patiently<T>(knocking: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = performance.now() + COMING_MS;
  for (;;) {
    try {
      return await knocking();
    } catch (error) {
      const isSilent = error instanceof FederationError && error.code === 'HUB_UNREACHABLE';
      if (!isSilent || performance.now() > deadline) throw error;
    }
    await pause(ASK_MS, undefined, { signal });
  }
}

function isSpent(error: unknown): boolean {
  return error instanceof FederationError && (error.code === 'TOKEN_INVALID' || error.code === 'TOKEN_EXPIRED');
}

/** A worker that was let in and did not hear of it asks again, at most five seconds apart. */
const HEARD_MS = 20_000;

/**
 * Whether the worker of an earlier run has come in by itself since the machine was looked at: the token is spent, and
 * nothing is missing. It holds the id of the hub that let it in.
 */
async function isLetIn(context: Context, joinToken: string): Promise<boolean> {
  const { machine, place, signal } = context;
  const { hubId } = parseJoinToken(joinToken);
  const files = await filesAs(context, 'person');
  const deadline = performance.now() + HEARD_MS;
  for (;;) {
    if ((await files.read(place.hubPin))?.toString('utf8').trim() === hubId) return true;
    const link = (await runningWorker(machine, files, place.workerHome, signal))?.link;
    if ((link !== 'connecting' && link !== 'member') || performance.now() > deadline) return false;
    await pause(ASK_MS, undefined, { signal });
  }
}

function another(hub: HubAddress): FederationError {
  return new FederationError('HUB_KEY_MISMATCH', `the hub at ${hubAddressText(hub)} is another one than this node’s`, {
    hint: 'to move the node there, give it a join token of that hub: --token-file FILE',
  });
}

/** The hub would let the node wait for approval instead. */
function checkToken(token: JoinTokenView, { name, role }: ActionOf<'knock'>['node']): void {
  if (token.role !== role) {
    throw new FederationError('TOKEN_INVALID', `the join token is for a ${token.role}, not for a ${role}`, {
      hint: `on the master: manage-federation token create --role ${role}`,
    });
  }
  if (token.name === null || token.name === name) return;
  throw new FederationError('TOKEN_INVALID', `the join token is for a node named ${token.name}, not ${name}`, {
    hint: `--name ${token.name}, or on the master: manage-federation token create --name ${name}`,
  });
}

/**
 * Asks a hub who it is, from that machine, and what a join token is good for there; the token itself is not sent.
 * Throws HUB_UNREACHABLE, NOT_A_HUB, VERSION_UNSUPPORTED, HUB_KEY_MISMATCH for a token of another hub, TOKEN_INVALID
 * and TOKEN_EXPIRED.
 */
export async function knockAtHub(
  machine: Machine,
  hub: HubAddress,
  token: string | null,
  signal: AbortSignal,
): Promise<HubFound> {
  const secret = token === null ? null : parseJoinToken(token);
  const health = await askHealth(machine, hub, signal);
  checkVersions(hub, health);
  if (secret === null) return { health, token: null };
  if (secret.hubId !== health.hubId) {
    const where = hubAddressText(hub);
    throw new FederationError('HUB_KEY_MISMATCH', `the join token is of another hub than that at ${where}`, {
      hint: 'check the master’s name, or make a token there: manage-federation token create',
    });
  }
  const hash = createHash('sha256').update(secret.secret).digest('hex');
  const { status, text } = await ask(machine, hub, `/api/v1/join-tokens/${hash}`, signal);
  if (status === 200) return { health, token: read(hub, joinTokenSchema, text) };
  const { code, message, hint } = read(hub, errorSchema, text);
  throw new FederationError(code, message, hint === undefined ? {} : { hint });
}

async function askHealth(machine: Machine, hub: HubAddress, signal: AbortSignal): Promise<Health> {
  const { status, text } = await ask(machine, hub, '/health', signal);
  if (status === 200) return read(hub, healthSchema, text);
  const hint = status === 403 ? `on the master, add ${hub.host} to hub.names in the hub’s settings` : WHICH;
  const where = hubAddressText(hub);
  throw new FederationError('NOT_A_HUB', `what answers at ${where} does not answer as a hub (${status})`, { hint });
}

function ask(machine: Machine, hub: HubAddress, path: string, signal: AbortSignal): Promise<Answered> {
  // The tailnet may have come up since the machine was looked at.
  const addresses = () => tailnetAddresses(machine, hub.host, signal);
  return askHub(machine, { hub, addresses, path }, signal);
}

const WHICH = 'name the master and the port of its hub (19000 where nobody chose another)';

function read<T>(hub: HubAddress, schema: z.ZodType<T>, text: string): T {
  const found = jsonAs(schema, text);
  if (found !== null) return found;
  throw new FederationError('NOT_A_HUB', `what answers at ${hubAddressText(hub)} is no hub`, { hint: WHICH });
}

function checkVersions(hub: HubAddress, { version, protocol: { min, max } }: Health): void {
  if (PROTOCOL_VERSIONS.some((ours) => ours >= min && ours <= max)) return;
  const behind = max < Math.min(...PROTOCOL_VERSIONS) ? 'on the master' : 'here';
  const where = hubAddressText(hub);
  throw new FederationError('VERSION_UNSUPPORTED', `the hub at ${where} (${version}) speaks other versions`, {
    hint: `upgrade openclaw-federation ${behind}`,
  });
}
