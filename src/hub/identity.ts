import type { Log } from '#src/adapters/log.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import type { TailnetMachine } from '#src/core/approval.ts';

/** The machine behind an address, by the tailnet's word; null where that knows none or does not answer. */
export type Identify = (address: string, signal: AbortSignal) => Promise<TailnetMachine | null>;

/** tailscaled answers from memory, and a node that knocks has little time. */
const ANSWER_MS = 1000;

/** This machine itself, which is nobody in its own tailnet that could ask. */
const HERE: ReadonlySet<string> = new Set(['127.0.0.1', '::1']);

/** `tailscale`: null where the hub is not to use the tailnet, and then nobody is known. */
export function createIdentify(tailscale: Pick<Tailscale, 'whois'> | null, log: Log): Identify {
  return async (address, signal) => {
    if (tailscale === null || HERE.has(address)) return null;
    try {
      return await tailscale.whois(address, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
    } catch (error) {
      if (!signal.aborted) log.warn('the tailnet does not say who asks', { address, problem: String(error) });
      return null;
    }
  };
}
