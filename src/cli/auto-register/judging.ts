import type { HubApi } from '#src/adapters/hub.ts';
import { createBell } from '#src/cli/auto-register/bell.ts';
import type { Judged, JudgeOptions } from '#src/cli/auto-register/judge.ts';
import { isAway, judgeOne, waitingRequests } from '#src/cli/auto-register/judge.ts';
import type { Report } from '#src/cli/auto-register/report.ts';
import { FederationError } from '#src/core/errors.ts';
import type { PolicyStatus } from '#src/protocol/hub-api/judgement.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

/** Has the hub judge what waits, what comes, what changes and what is due. */
export interface Judging {
  /** It came, or asks for something else now. */
  offer(request: PairingRequestView): void;
  /** Rules or requests may be others now: all are judged anew. */
  sweep(): void;
  /** Judges by this hub until `signal` is aborted, all that waits first. Throws what says that the hub is away. */
  run(hub: HubApi, signal: AbortSignal): Promise<void>;
}

export interface JudgingOptions {
  readonly options: JudgeOptions;
  readonly report: Pick<Report, 'policy' | 'decided' | 'failed'>;
  readonly onApproved: (judged: Judged) => void;
}

/** Requests that what was said of is remembered, the latest: keys cost nothing. */
const SAID_KEPT = 2000;

/** After a failure that has nothing to do with the request, as a full disk. */
const TRY_AGAIN_MS = 30_000;

export function createJudging({ options, report, onApproved }: JudgingOptions): Judging {
  const bell = createBell();
  const due = new Map<string, PairingRequestView>();
  const later = new Map<string, { readonly request: PairingRequestView; readonly at: number }>();
  /** What was said of each, so that a hub that comes back has nothing repeated. */
  const said = new Map<string, string>();
  let policySaid = '';
  let isSweepDue = true;

  function sayPolicy(policy: PolicyStatus): void {
    const text = JSON.stringify(policy);
    if (text !== policySaid) report.policy(policy);
    policySaid = text;
  }

  /** Null: it waits no longer, and nothing is said of it again. */
  function remember(id: string, text: string | null): void {
    said.delete(id);
    if (text !== null) said.set(id, text);
    for (const oldest of said.keys()) {
      if (said.size <= SAID_KEPT) break;
      said.delete(oldest);
    }
  }

  async function lookAtAll(hub: HubApi): Promise<void> {
    isSweepDue = false;
    sayPolicy((await hub.ask<Status>('GET', '/status')).policy);
    const waiting = await waitingRequests(hub);
    for (const request of waiting) due.set(request.id, request);
    const ids = new Set(waiting.map(({ id }) => id));
    for (const id of said.keys()) if (!ids.has(id)) said.delete(id);
    later.clear();
  }

  async function judge(hub: HubApi, request: PairingRequestView): Promise<void> {
    due.delete(request.id);
    later.delete(request.id);
    try {
      const judged = await judgeOne(hub, request, options);
      if (judged === null) return;
      const text = JSON.stringify(judged);
      if (said.get(request.id) !== text) report.decided(judged);
      remember(request.id, judged.done === 'nothing' ? text : null);
      if (judged.done === 'approved') onApproved(judged);
      if (judged.retryAt !== null) later.set(request.id, { request, at: Date.parse(judged.retryAt) });
    } catch (error) {
      if (!(error instanceof FederationError) || isAway(error)) throw error;
      report.failed(request.name, error.message);
      later.set(request.id, { request, at: Date.now() + TRY_AGAIN_MS });
    }
  }

  return {
    offer(request) {
      if (!request.rejected) due.set(request.id, request);
      bell.ring();
    },
    sweep() {
      isSweepDue = true;
      bell.ring();
    },
    async run(hub, signal) {
      isSweepDue = true;
      while (!signal.aborted) {
        if (isSweepDue) await lookAtAll(hub);
        for (const { request, at } of later.values()) if (at <= Date.now()) due.set(request.id, request);
        const [next] = due.values();
        if (next !== undefined) await judge(hub, next);
        else await bell.heard(Math.min(...[...later.values()].map(({ at }) => at - Date.now())), signal);
      }
    },
  };
}
