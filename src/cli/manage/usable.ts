import { setTimeout as pause } from 'node:timers/promises';
import type { HubApi } from '#src/adapters/hub.ts';
import type { HubNews } from '#src/cli/manage/hub-news.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';

export type Step = Readiness['steps'][number];

/** What a person is told while a node that was let in becomes usable. */
export interface Progress {
  waits(name: string, step: Step): void;
  /** The same step keeps it for a while. */
  stuck(name: string, step: Step): void;
}

export interface UsableOptions {
  readonly hub: HubApi;
  readonly news: HubNews;
  readonly progress: Progress;
  /** Ends the waiting: it was long enough, or the person left. */
  readonly signal: AbortSignal;
}

/** Some steps end without an event of the node, as a command that answers after all. */
const LOOK_AGAIN_MS = 5000;
/** A worker is there within a second, and its node host, where nothing is wrong, after two looks. */
const STUCK_AFTER_LOOKS = 3;

/**
 * Waits until the hub says that the node can be used, or `signal` ends it; resolves with the hub's last word, null where
 * it said none. Throws NODE_NOT_FOUND where it is a node no more, and HUB_UNREACHABLE where no hub is there at all.
 */
export async function untilUsable(
  id: string,
  { hub, news, progress, signal }: UsableOptions,
): Promise<Readiness | null> {
  let last: Readiness | null = null;
  /** How often each was seen: what comes and goes is said once. */
  const looks = new Map<string, number>();
  while (!signal.aborted) {
    // Before it is asked, so that nothing happens in between.
    const told = news.next(last?.id ?? id);
    try {
      last = await hub.ask<Readiness>('GET', `/nodes/${encodeURIComponent(id)}/readiness`, undefined, signal);
    } catch (error) {
      if (signal.aborted) break;
      // A hub that restarts is back in a moment; without any word of it there is nothing to wait for.
      if (last === null || !(error instanceof FederationError) || error.code !== 'HUB_UNREACHABLE') throw error;
    }
    const step = missingStep(last);
    if (step === null) break;
    const what = `${step.step} ${step.waitsFor}`;
    const count = (looks.get(what) ?? 0) + 1;
    looks.set(what, count);
    if (count === 1) progress.waits(last.name, step);
    if (count === STUCK_AFTER_LOOKS) progress.stuck(last.name, step);
    await newsOrTick(told, signal);
  }
  return last;
}

/** What all other steps wait for; null where the node is usable. */
export function missingStep({ usable, steps }: Readiness): Step | null {
  return usable ? null : (steps.find(({ done }) => !done) ?? null);
}

async function newsOrTick(told: Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const tick = pause(LOOK_AGAIN_MS, undefined, { signal: AbortSignal.any([signal, over.signal]) });
  await Promise.race([told, tick.catch(() => undefined)]);
  over.abort();
}
