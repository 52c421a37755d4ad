import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { HubApi } from '#src/adapters/hub.ts';
import { createArrivals } from '#src/cli/auto-register/arrivals.ts';
import { eventsIn } from '#src/cli/auto-register/events.ts';
import type { JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { isAway } from '#src/cli/auto-register/judge.ts';
import { createJudging } from '#src/cli/auto-register/judging.ts';
import type { Report } from '#src/cli/auto-register/report.ts';
import { FederationError } from '#src/core/errors.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';

export interface WatchOptions {
  /** Finds the hub, anew each time. */
  readonly connect: () => Promise<HubApi>;
  readonly options: JudgeOptions;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** Time in which a node that was let in becomes usable where nothing is wrong. */
  readonly patienceMs?: number;
}

const RETRY: BackOff = { minMs: 200, maxMs: 5000, patientMs: 10_000 };
/** The hub says something every 15 s. */
const SILENT_MS = 45_000;

/**
 * Has the hub judge what waits, and from then on what comes, what changes and what is due, and follows what was let in
 * until it is usable; until `signal` is aborted. A hub that is away is waited for; throws what says that it will never
 * be ours.
 */
export async function watchRequests({ connect, options, report, signal, ...rest }: WatchOptions): Promise<void> {
  const arrivals = createArrivals({ report, endsWhenTold: false, ...rest });
  const judging = createJudging({ options, report, onApproved: arrivals.add });
  let wasAway = false;

  async function listen(stream: IncomingMessage): Promise<void> {
    try {
      for await (const { name, data } of eventsIn(stream)) {
        if (name === 'policy') judging.sweep();
        else if (name === 'node') arrivals.changed(data.id);
        else judging.offer(data);
      }
    } catch {
      // A stream that breaks off has ended: what was missed is seen by the sweep of the next one.
    }
  }

  /** Resolves when the stream of events has ended. */
  async function follow(hub: HubApi, stream: IncomingMessage): Promise<void> {
    const over = new AbortController();
    const any = AbortSignal.any([signal, over.signal]);
    const end = () => over.abort();
    const listening = listen(stream).finally(end);
    const loops = [judging.run(hub, any).finally(end), arrivals.run(hub, any).finally(end)];
    const failed = (await Promise.allSettled(loops)).find(({ status }) => status === 'rejected');
    stream.destroy();
    await listening;
    if (failed?.status === 'rejected') throw failed.reason;
  }

  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const hub = await connect();
      const stream = await hub.open('GET', '/events', undefined, signal);
      stream.setTimeout(SILENT_MS, () => stream.destroy());
      wasAway = false;
      failures = 0;
      report.connected();
      await follow(hub, stream);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof FederationError) || !isAway(error)) throw error;
      if (!wasAway) report.away(error.message, error.hint ?? null);
      wasAway = true;
    }
    const delay = retryDelayMs(RETRY, failures, Math.random());
    await pause(delay, undefined, { signal }).catch(() => undefined);
  }
}
