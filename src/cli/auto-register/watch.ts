import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { HubApi } from '#src/adapters/hub.ts';
import { eventsIn } from '#src/cli/auto-register/events.ts';
import type { JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { judgeOne, waitingRequests } from '#src/cli/auto-register/judge.ts';
import type { Report } from '#src/cli/auto-register/report.ts';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';
import type { PairingRequestView, PolicyStatus, Status } from '#src/protocol/hub-api.ts';

export interface WatchOptions {
  /** Finds the hub, anew each time. */
  readonly connect: () => Promise<HubApi>;
  readonly options: JudgeOptions;
  readonly report: Report;
  readonly signal: AbortSignal;
}

const RETRY: BackOff = { minMs: 200, maxMs: 5000, patientMs: 10_000 };
/** The hub says something every 15 s. */
const SILENT_MS = 45_000;
/** After a failure that has nothing to do with the node, as a full disk. */
const TRY_AGAIN_MS = 30_000;
/** Timers count no further than 25 days, and a wall clock may be set. */
const MAX_WAIT_MS = 3600_000;

const AWAY: ReadonlySet<ErrorCode> = new Set(['HUB_UNREACHABLE', 'HUB_STOPPING']);

/**
 * Has the hub judge whoever waits, and from then on what comes, what changes and what is due, until `signal` is
 * aborted. A hub that is away is waited for; throws what says that it will never be ours.
 */
export async function watchRequests({ connect, options, report, signal }: WatchOptions): Promise<void> {
  /** What was said of each, so that a hub that comes back has nothing repeated. */
  const said = new Map<string, string>();
  let policySaid = '';
  let isAway = false;

  function sayPolicy(policy: PolicyStatus): void {
    const text = JSON.stringify(policy);
    if (text !== policySaid) report.policy(policy);
    policySaid = text;
  }

  /** Resolves when the stream of events has ended. */
  async function follow(hub: HubApi, stream: IncomingMessage): Promise<void> {
    const due = new Map<string, PairingRequestView>();
    const later = new Map<string, { readonly request: PairingRequestView; readonly at: number }>();
    let wake = Promise.withResolvers<void>();
    let isSweepDue = true;
    let isOver = false;

    async function listen(): Promise<void> {
      try {
        for await (const { name, data } of eventsIn(stream)) {
          if (name === 'policy') isSweepDue = true;
          else if (!data.rejected) due.set(data.id, data);
          wake.resolve();
        }
      } catch {
        // A stream that breaks off has ended: what was missed is seen by the sweep of the next one.
      } finally {
        isOver = true;
        wake.resolve();
      }
    }

    async function sweep(): Promise<void> {
      isSweepDue = false;
      sayPolicy((await hub.ask<Status>('GET', '/status')).policy);
      const waiting = await waitingRequests(hub);
      for (const request of waiting) due.set(request.id, request);
      const ids = new Set(waiting.map(({ id }) => id));
      for (const id of said.keys()) if (!ids.has(id)) said.delete(id);
      later.clear();
    }

    async function judge(request: PairingRequestView): Promise<void> {
      due.delete(request.id);
      later.delete(request.id);
      try {
        const judged = await judgeOne(hub, request, options);
        if (judged === null) return;
        const text = JSON.stringify(judged);
        if (said.get(request.id) !== text) report.decided(judged);
        said.set(request.id, text);
        if (judged.retryAt !== null) later.set(request.id, { request, at: Date.parse(judged.retryAt) });
      } catch (error) {
        if (!(error instanceof FederationError) || AWAY.has(error.code)) throw error;
        report.failed(request.name, error.message);
        later.set(request.id, { request, at: Date.now() + TRY_AGAIN_MS });
      }
    }

    async function rest(): Promise<void> {
      const next = Math.min(...[...later.values()].map(({ at }) => at - Date.now()), MAX_WAIT_MS);
      const over = new AbortController();
      const timer = pause(Math.max(next, 0), undefined, { signal: AbortSignal.any([signal, over.signal]) });
      await Promise.race([wake.promise, timer.catch(() => undefined)]);
      over.abort();
      wake = Promise.withResolvers();
    }

    const listening = listen();
    try {
      while (!isOver && !signal.aborted) {
        if (isSweepDue) await sweep();
        for (const { request, at } of later.values()) if (at <= Date.now()) due.set(request.id, request);
        const [next] = due.values();
        if (next !== undefined) await judge(next);
        else await rest();
      }
    } finally {
      stream.destroy();
      await listening;
    }
  }

  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const hub = await connect();
      const stream = await hub.open('GET', '/events', undefined, signal);
      stream.setTimeout(SILENT_MS, () => stream.destroy());
      isAway = false;
      failures = 0;
      report.connected();
      await follow(hub, stream);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof FederationError) || !AWAY.has(error.code)) throw error;
      if (!isAway) report.away(error.message);
      isAway = true;
    }
    const delay = retryDelayMs(RETRY, failures, Math.random());
    await pause(delay, undefined, { signal }).catch(() => undefined);
  }
}
