import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { HubApi } from '#src/adapters/hub.ts';
import { eventsIn } from '#src/cli/auto-register/events.ts';
import { fingerprint } from '#src/core/node.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';

/** What happens at the hub from the moment on in which this was opened. */
export interface HubNews {
  /** Resolves at the next news of the node with this id, also when some may have been missed. */
  next(id: string): Promise<void>;
}

const RETRY: BackOff = { minMs: 200, maxMs: 2000, patientMs: 2000 };
/** The hub says something every 15 s. */
const SILENT_MS = 45_000;

/** Listens until `signal` is aborted; a hub that goes away is listened to again when it is back. Throws as the hub does. */
export async function followHub(hub: HubApi, signal: AbortSignal): Promise<HubNews> {
  const awaited = new Map<string, PromiseWithResolvers<void>>();

  function tell(concerns: (id: string) => boolean): void {
    for (const [id, waiter] of awaited) {
      if (!concerns(id)) continue;
      awaited.delete(id);
      waiter.resolve();
    }
  }

  async function listen(stream: IncomingMessage): Promise<void> {
    stream.setTimeout(SILENT_MS, () => stream.destroy());
    for await (const { name, data } of eventsIn(stream)) {
      if (name === 'node') tell((id) => id === data.id);
      else if (name === 'pairing-request') tell((id) => fingerprint(id) === data.fingerprint);
    }
  }

  async function listenOn(first: IncomingMessage): Promise<void> {
    let stream: IncomingMessage | null = first;
    for (let failures = 0; !signal.aborted; failures++) {
      // A stream that breaks off has ended: what it did not say is looked for by who waits.
      if (stream !== null) await listen(stream).catch(() => undefined);
      await pause(retryDelayMs(RETRY, failures, Math.random()), undefined, { signal }).catch(() => undefined);
      stream = await hub.open('GET', '/events', undefined, signal).catch(() => null);
      if (stream === null) continue;
      failures = 0;
      tell(() => true);
    }
  }

  void listenOn(await hub.open('GET', '/events', undefined, signal));
  return {
    next(id) {
      const waiter = awaited.get(id) ?? Promise.withResolvers<void>();
      awaited.set(id, waiter);
      return waiter.promise;
    },
  };
}
