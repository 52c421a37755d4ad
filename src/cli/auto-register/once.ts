import type { IncomingMessage } from 'node:http';
import type { HubApi } from '#src/adapters/hub.ts';
import { createArrivals } from '#src/cli/auto-register/arrivals.ts';
import { eventsIn } from '#src/cli/auto-register/events.ts';
import type { JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { judgeOne, waitingRequests } from '#src/cli/auto-register/judge.ts';
import type { Report } from '#src/cli/auto-register/report.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';

export interface OnceOptions {
  readonly hub: HubApi;
  readonly options: JudgeOptions;
  readonly report: Pick<Report, 'decided' | 'usable' | 'unfinished'>;
  /** Time in which a node that was let in becomes usable where nothing is wrong. */
  readonly patienceMs?: number;
}

/**
 * Has the hub judge what waits now, and looks whether what was let in becomes usable. Each is judged, whatever becomes
 * of the others; the first error is thrown at the end.
 */
export async function judgeOnce({ hub, options, report, ...rest }: OnceOptions): Promise<void> {
  const arrivals = createArrivals({ report, endsWhenTold: true, ...rest });
  const errors: unknown[] = [];
  const said = new Map<string, string>();

  async function judge(request: PairingRequestView): Promise<void> {
    try {
      const judged = await judgeOne(hub, request, options);
      if (judged === null) return;
      const text = JSON.stringify(judged);
      if (said.get(request.id) !== text) report.decided(judged);
      said.set(request.id, text);
      if (judged.done === 'approved') arrivals.add(judged);
    } catch (error) {
      errors.push(error);
    }
  }

  /** What a node asks for that was let in by halves is judged, too; what others ask for is not. */
  async function listen(stream: IncomingMessage): Promise<void> {
    for await (const { name, data } of eventsIn(stream)) {
      if (name === 'node') arrivals.changed(data.id);
      else if (name === 'pairing-request' && !data.rejected && arrivals.has(data.fingerprint)) await judge(data);
    }
  }

  const over = new AbortController();
  const stream = await hub.open('GET', '/events', undefined, over.signal);
  const listening = listen(stream).catch(() => undefined);
  try {
    for (const request of await waitingRequests(hub)) await judge(request);
    await arrivals.run(hub, over.signal);
  } finally {
    over.abort();
    stream.destroy();
    await listening;
  }
  if (errors.length > 0) throw errors[0];
}
