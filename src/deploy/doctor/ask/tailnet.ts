import { z } from 'zod';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { jsonIn } from '#src/deploy/doctor/ask/json.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';

export interface TailnetAnswer {
  /** When this machine has to log in again, in milliseconds since the epoch; null: never. */
  readonly expires: number | null;
  readonly isExpired: boolean;
  /** By DNS name without its last dot: whether the tailnet sees the machine. */
  readonly online: ReadonlyMap<string, boolean>;
}

const nodeSchema = z.object({
  DNSName: z.string().nullish(),
  KeyExpiry: z.string().nullish(),
  Expired: z.boolean().nullish(),
  Online: z.boolean().nullish(),
});
/** `tailscale status --json` (ipnstate.Status of 1.102). */
const statusSchema = z.object({ Self: nodeSchema.nullish(), Peer: z.record(z.string(), nodeSchema).nullish() });

/** Null where Tailscale can’t be asked. */
export async function askTailnet(machine: Machine, facts: Facts, signal: AbortSignal): Promise<TailnetAnswer | null> {
  const { installed, state } = facts.tailscale;
  if (installed === null || state === null) return null;
  const ran = await look(machine, { argv: [installed.program, 'status', '--json'], as: 'login', signal });
  return ran === null ? null : tailnetAnswer(ran.stdout);
}

export function tailnetAnswer(text: string): TailnetAnswer | null {
  const status = statusSchema.safeParse(jsonIn(text));
  if (!status.success) return null;
  const { Self, Peer } = status.data;
  const expires = Date.parse(Self?.KeyExpiry ?? '');
  const peers = Object.values(Peer ?? {});
  return {
    expires: Number.isNaN(expires) ? null : expires,
    isExpired: Self?.Expired === true,
    online: new Map(peers.map(({ DNSName, Online }) => [(DNSName ?? '').replace(/\.$/, ''), Online === true])),
  };
}
