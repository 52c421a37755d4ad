import { once } from 'node:events';
import type { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ModelOffer } from '#src/protocol/models.ts';
import { MAX_OFFERED_MODELS } from '#src/protocol/models.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import type { SharedModels } from '#src/worker/models/share.ts';

/** What the hub is asked to take. Throws FederationError. */
export interface OfferDesk {
  offerModels(offer: ModelOffer): Promise<{ readonly allowed: boolean }>;
}

export interface OfferParts {
  readonly shares: Pick<SharedModels, 'offered' | 'status' | 'changes'>;
  /** Why no program here can use models; null where they can. */
  readonly portProblem: string | null;
  readonly desk: OfferDesk;
  readonly session: () => HubSession | null;
  /** `linked` each time that the hub knows this node's credential. */
  readonly links: EventEmitter<{ linked: [] }>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Changes of a moment are one offer: a file that names ten servers brings ten answers. */
const SETTLE_MS = 50;
const RETRY_MS = 2000;

/** Tells the hub what this node shares: at each link, and whenever that is something else. */
export async function offerModels({
  shares,
  portProblem,
  desk,
  session,
  links,
  log,
  signal,
}: OfferParts): Promise<void> {
  let due = Promise.withResolvers<void>();
  const wake = (): void => due.resolve();
  shares.changes.on('offer', wake).on('status', wake);
  links.on('linked', wake);
  const stopped = once(signal, 'abort').catch(() => undefined);
  try {
    // What the hub took, and in which session: the numbers of links begin anew with the hub.
    let told = '';
    let toldIn: HubSession | null = null;
    while (!signal.aborted) {
      await Promise.race([due.promise, stopped]);
      await pause(SETTLE_MS, undefined, { signal, ref: false }).catch(() => undefined);
      due = Promise.withResolvers();
      const now = session();
      if (now === null || signal.aborted) continue;
      const offer = offerNow(shares, portProblem);
      const telling = JSON.stringify(offer);
      if (toldIn === now && told === telling) continue;
      try {
        const { allowed } = await desk.offerModels(offer);
        [told, toldIn] = [telling, now];
        if (allowed || offer.models.length === 0) {
          log.info('the hub knows what this node shares', { models: offer.models.length });
        } else log.warn('this node may not offer models: on the master, manage-federation models allow and its name');
      } catch (error) {
        if (signal.aborted) return;
        toldIn = null;
        if (isFinal(error)) log.warn('the hub does not take what this node shares', { problem: messageOf(error) });
        else void pause(RETRY_MS, undefined, { signal, ref: false }).then(wake, () => undefined);
      }
    }
  } finally {
    shares.changes.off('offer', wake).off('status', wake);
    links.off('linked', wake);
  }
}

function offerNow(
  { offered, status }: Pick<SharedModels, 'offered' | 'status'>,
  portProblem: string | null,
): ModelOffer {
  const { problem, upstreams } = status();
  const problems = [
    ...[portProblem, problem].filter((text) => text !== null),
    ...upstreams.flatMap((one) => (one.problem === null ? [] : [`${one.name}: ${one.problem}`])),
  ];
  return { models: offered().slice(0, MAX_OFFERED_MODELS) as ModelOffer['models'], problems };
}

/** Whether asking again would bring the same: the hub is an older one, or finds a fault in the offer. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof FederationError &&
    !['HUB_UNREACHABLE', 'HUB_STOPPING', 'UNAUTHENTICATED', 'MODELS_BUSY'].includes(error.code)
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
