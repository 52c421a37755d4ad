import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Tailnet } from '#src/adapters/tailscale/answers.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

/** The hub on its machine's tailnet addresses, as they come and go. */
export interface TailnetListeners {
  /** Hosts that this machine is by the tailnet's word. */
  names(): readonly string[];
  /** host:port of what it listens on now. */
  listening(): readonly string[];
  status(): Status['tailnet'];
  /** Resolves after `signal`, when nothing listens any more. */
  readonly done: Promise<void>;
}

export interface TailnetOptions {
  /** Null where the hub is not to listen on the tailnet. */
  readonly tailscale: Tailscale | null;
  readonly port: number;
  /** Address that the hub listens on in any case. */
  readonly address: string;
  readonly listen: (address: string) => Promise<{ close(): Promise<void> }>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** An address is reported a moment before the interface has it; another program may hold the port for longer. */
const RETRY: BackOff = { minMs: 100, maxMs: 5000, patientMs: 5000 };

/** One address, from when the tailnet gave it to this machine until it took it away. */
interface Door {
  state(): 'opening' | 'open';
  /** Why it is not open, where it was tried. */
  problem(): string | null;
  close(): void;
}

export function followTailnet(options: TailnetOptions): TailnetListeners {
  const { tailscale, port, address: own, log, signal } = options;
  const doors = new Map<string, Door>();
  const closed = new Set<Promise<void>>();
  let now: Tailnet = { state: 'absent', addresses: [], dnsName: null, hostName: null, problem: 'not asked yet' };

  const done = tailscale === null ? Promise.resolve() : run(tailscale);

  async function run(watched: Tailscale): Promise<void> {
    for await (const tailnet of watched.watch(signal)) {
      now = tailnet;
      const { state, addresses, dnsName, problem } = tailnet;
      if (addresses.length > 0) log.info('this machine is in its tailnet', { state, addresses, dnsName });
      else log.warn('this machine is not in its tailnet', { state, problem });
      move(addresses.filter((address) => !isCovered(own, address)));
    }
    move([]);
    await Promise.all(closed);
  }

  function move(addresses: readonly string[]): void {
    for (const [address, door] of doors) {
      if (addresses.includes(address)) continue;
      door.close();
      doors.delete(address);
    }
    for (const address of addresses) {
      if (!doors.has(address)) doors.set(address, openDoor(address));
    }
  }

  function openDoor(address: string): Door {
    const closing = new AbortController();
    const where = hubAddressText({ host: address, port });
    let state: 'opening' | 'open' = 'opening';
    let problem: string | null = null;

    async function keep(): Promise<void> {
      const door = await open();
      if (door === null) return;
      state = 'open';
      problem = null;
      log.info('the hub listens on the tailnet', { address: where });
      if (!closing.signal.aborted) await once(closing.signal, 'abort');
      log.info('the hub no longer listens on the tailnet', { address: where });
      // Links that came by it are let be: they end by themselves where their address is gone.
      await door.close();
    }

    async function open() {
      for (let failures = 0; !closing.signal.aborted; failures++) {
        try {
          return await options.listen(address);
        } catch (error) {
          problem = error instanceof Error ? error.message : String(error);
          if (failures === 0) log.warn('an address can’t be listened on yet; it is tried again', { problem });
        }
        const delay = retryDelayMs(RETRY, failures, Math.random());
        await pause(delay, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
      }
      return null;
    }

    const kept = keep();
    closed.add(kept);
    void kept.finally(() => closed.delete(kept));
    return { state: () => state, problem: () => problem, close: () => closing.abort() };
  }

  return {
    names: () => namesOf(now),
    listening: () =>
      [...doors].flatMap(([host, door]) => (door.state() === 'open' ? [hubAddressText({ host, port })] : [])),
    status() {
      if (tailscale === null) return { state: 'off', addresses: [], dnsName: null, problem: null };
      const { state, addresses, dnsName } = now;
      const [problem = now.problem] = [...doors.values()].flatMap((door) => door.problem() ?? []);
      return { state, addresses: [...addresses], dnsName, problem };
    },
    done,
  };
}

/** Whether a listener on `own` takes what comes for `address`, and so holds its port. `::` takes IPv4 too. */
function isCovered(own: string, address: string): boolean {
  return own === address || own === '::' || (own === '0.0.0.0' && isIPv4(address));
}

function namesOf({ addresses, dnsName, hostName }: Tailnet): readonly string[] {
  const [label] = dnsName?.split('.') ?? [];
  return [...addresses, dnsName, label, hostName].filter((name) => typeof name === 'string');
}
