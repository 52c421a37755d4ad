import { cancelHandoff } from '#src/adapters/handoffs/cancel.ts';
import { followHandoff } from '#src/adapters/handoffs/follow.ts';
import { handIn } from '#src/adapters/handoffs/hand-in.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';

export interface HandoffListener {
  event(event: HandoffEvent): void;
  standing(view: HandoffView): void;
  /** The hub is away, and asked again. */
  away(problem: string): void;
}

/** For a hub that is away; an agent that waits has a person who waits. */
const PATIENCE_MS = 10 * 60_000;
/** How long one that is stopped may take until its end is asked for: a gateway that stops gives its plugins five seconds. */
const CANCEL_MS = 3000;

/**
 * Hands work over and follows it to its end. When `signal` is aborted, the hub is asked for its end, nothing more is waited
 * for, and the reason is thrown. Throws what the hub answers, and HUB_UNREACHABLE with the id of what goes on without us.
 */
export async function runHandoff(
  hub: Pick<HubApi, 'open' | 'ask'>,
  order: HandoffCreate & { readonly parent?: string },
  listener: HandoffListener,
  signal: AbortSignal,
): Promise<HandoffView> {
  signal.throwIfAborted();
  const leaving = new AbortController();
  const options = { signal: leaving.signal, patienceMs: PATIENCE_MS, onAway: listener.away };
  const handed = handIn<HandoffView>(hub, '/handoffs', order, options);
  const stop = (): void => void cancel(hub, handed).finally(() => leaving.abort());
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { id } = (await handed).view;
    return await follow(hub, id, listener, options);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** One whose answer is still on its way is waited for: what was handed over can’t be ended without its id. */
async function cancel(hub: Pick<HubApi, 'ask'>, handed: Promise<{ view: HandoffView }>): Promise<void> {
  const inTime = AbortSignal.timeout(CANCEL_MS);
  const late = Promise.withResolvers<null>();
  inTime.addEventListener('abort', () => late.resolve(null), { once: true });
  try {
    const known = await Promise.race([handed, late.promise]);
    if (known === null) return;
    await cancelHandoff(hub, known.view.id, { signal: inTime, patienceMs: CANCEL_MS, onAway: () => undefined });
  } catch {
    // What was never handed over, or has just ended by itself, has no end to be asked for.
  }
}

async function follow(
  hub: Pick<HubApi, 'open' | 'ask'>,
  id: string,
  listener: HandoffListener,
  options: { signal: AbortSignal; patienceMs: number; onAway: (problem: string) => void },
): Promise<HandoffView> {
  try {
    for await (const news of followHandoff(hub, id, { ...options, after: 0 })) {
      if (news.kind === 'event') listener.event(news.event);
      else if (news.kind === 'standing') listener.standing(news.view);
      else return news.view;
    }
  } catch (error) {
    if (options.signal.aborted || !(error instanceof FederationError)) throw error;
    throw new FederationError(error.code, `${error.message}; handoff ${id} may still run, and is not to be repeated`, {
      hint: `on the master: manage-federation handoff attach ${id}`,
      cause: error,
    });
  }
  throw new FederationError('INTERNAL', 'the events ended before the handoff');
}
