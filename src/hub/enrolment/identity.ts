import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import type { Identity } from '#src/core/identity.ts';

/** Tells which machine is behind an address. Never throws. */
export type Identify = (address: string, signal: AbortSignal) => Promise<Identity>;

/** A federation without a tailnet: nobody is known but by key. */
export const identifyByKey: Identify = async () => ({ kind: 'unasked' });

/** Asks again and again until the tailnet can say it; null where the signal is aborted before. */
export async function identifyLater(
  identify: Identify,
  address: string,
  everyMs: number,
  signal: AbortSignal,
): Promise<Identity | null> {
  while (!signal.aborted) {
    await pause(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    const identity = signal.aborted ? null : await identify(address, signal);
    if (identity !== null && identity.kind !== 'unknown') return identity;
  }
  return null;
}

/** tailscaled answers from memory, and a node that knocks has little time. */
const ANSWER_MS = 1000;

/** This machine itself, which is nobody in its own tailnet that could ask. */
const HERE: ReadonlySet<string> = new Set(['127.0.0.1', '::1']);

/** By the word of this machine's tailscaled. */
export function identifyByTailnet(tailscale: Pick<Tailscale, 'whois'>, log: Log): Identify {
  return async (address, signal) => {
    if (HERE.has(address)) return { kind: 'stranger' };
    try {
      const machine = await tailscale.whois(address, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
      return machine === null ? { kind: 'stranger' } : { kind: 'machine', machine };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (!signal.aborted) log.warn('the tailnet does not say who asks', { address, problem });
      return { kind: 'unknown', problem };
    }
  };
}
