import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Answered } from '#src/deploy/ask-from.ts';
import { askHub } from '#src/deploy/ask-hub.ts';
import { jsonIn } from '#src/deploy/doctor/ask/json.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';

export type HubAnswer =
  | { readonly state: 'unreachable'; readonly problem: string }
  /** Something answers, and it is no hub that takes this machine for one of its own. */
  | { readonly state: 'foreign'; readonly problem: string }
  | {
      readonly state: 'answers';
      readonly version: string;
      /** Null where it does not say so. */
      readonly hubId: string | null;
      /** Versions of the link protocol; null where it does not say so. */
      readonly protocol: { readonly min: number; readonly max: number } | null;
      /** How far the hub's clock is ahead of the machine's, in milliseconds; null where one of them is not known. */
      readonly clockAheadMs: number | null;
    };

/** Lenient: a hub of another version is what is looked for here. */
const healthSchema = z.object({
  status: z.literal('ok'),
  version: z.string(),
  hubId: z.string().nullish(),
  protocol: z.object({ min: z.int(), max: z.int() }).nullish(),
});

export interface HealthQuestion {
  readonly hub: HubAddress;
  /** Tailnet addresses of that host, for where its name is not resolved. */
  readonly addresses: readonly string[];
}

/** Asks the hub how it is, from the machine, as its worker daemon reaches it. Throws MACHINE_UNREACHABLE. */
export async function askHealth(
  machine: Machine,
  { hub, addresses }: HealthQuestion,
  signal: AbortSignal,
): Promise<HubAnswer> {
  const clock = await askClock(machine, signal);
  try {
    const question = { hub, addresses: () => Promise.resolve(addresses), path: '/health' };
    return answerOf(await askHub(machine, question, signal), clock);
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    if (error.code === 'NOT_A_HUB') return { state: 'foreign', problem: 'what answers is no hub' };
    if (error.code !== 'HUB_UNREACHABLE') throw error;
    const isLate = error.cause instanceof Error && error.cause.name === 'TimeoutError';
    return { state: 'unreachable', problem: isLate ? 'no answer within 10 s' : 'nothing answers there' };
  }
}

/** Whole seconds, as in the Date of the answer. */
async function askClock(machine: Machine, signal: AbortSignal): Promise<number | null> {
  const ran = await look(machine, { argv: ['date', '+%s'], as: 'login', signal });
  const seconds = Number(ran?.stdout.trim() || Number.NaN);
  return Number.isNaN(seconds) ? null : seconds * 1000;
}

function answerOf({ status, date, text }: Answered, clock: number | null): HubAnswer {
  if (status === 403) return { state: 'foreign', problem: 'the hub does not go by that name' };
  const health = healthSchema.safeParse(jsonIn(text));
  if (status !== 200 || !health.success) return { state: 'foreign', problem: `it answered ${status}, and is no hub` };
  const { version, hubId = null, protocol = null } = health.data;
  const clockAheadMs = clock === null || date === null ? null : date - clock;
  return { state: 'answers', version, hubId, protocol, clockAheadMs };
}
