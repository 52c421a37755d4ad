import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { lookup as systemLookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { isIPv6 } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { callbackify } from 'node:util';
import { peerNamed } from '#src/core/peer.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';

export interface TailnetLookupOptions {
  readonly tailscale: Pick<Tailscale, 'peers'>;
  /** How this system resolves a name; Node's own way where it is not given. */
  readonly system?: (host: string, options: LookupAllOptions) => Promise<LookupAddress[]>;
}

/** A system whose name server is out of reach takes ten seconds to say so, and a dial has five. */
const PATIENCE_MS = 500;

/**
 * Resolves a name as this system does and, where it can't or takes long, as the tailnet does: MagicDNS may be off here,
 * and tailscaled knows the machines all the same. What is thrown is the system's word.
 */
export function tailnetLookup({ tailscale, system = systemLookup }: TailnetLookupOptions): LookupFunction {
  async function resolve(host: string, options: LookupAllOptions): Promise<LookupAddress[]> {
    const known = system(host, options);
    const over = new AbortController();
    try {
      return await Promise.any([known, onTailnet(host, options.family, known, over.signal)]);
    } catch {
      return await known;
    } finally {
      over.abort();
    }
  }

  async function onTailnet(
    host: string,
    family: LookupAllOptions['family'],
    known: Promise<unknown>,
    signal: AbortSignal,
  ): Promise<LookupAddress[]> {
    const failed = new Promise<void>((settle) => void known.catch(() => settle()));
    await Promise.race([failed, pause(PATIENCE_MS, undefined, { signal, ref: false })]);
    const wanted = family === 4 || family === 'IPv4' ? 4 : family === 6 || family === 'IPv6' ? 6 : 0;
    const peer = peerNamed(await tailscale.peers(signal), host);
    const found = (peer?.addresses ?? [])
      .map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
      .filter((address) => wanted === 0 || address.family === wanted);
    if (found.length === 0) throw new Error(`no machine of the tailnet is named ${host}`);
    return found;
  }

  const answer = callbackify(resolve);
  return (host, options, callback) => {
    answer(host, { ...options, all: true }, (error, found) => {
      if (error !== null) callback(error, '');
      else if (options.all === true) callback(null, found);
      else callback(null, found[0]!.address, found[0]!.family);
    });
  };
}
