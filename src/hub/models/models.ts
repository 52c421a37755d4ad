import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { findMember } from '#src/hub/fleet/targets.ts';
import type { LockdownKeeper } from '#src/hub/jobs/lockdown.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { ModelKeyDesk } from '#src/hub/models/keys.ts';
import { openModelKeys } from '#src/hub/models/keys.ts';
import { createLateWriter } from '#src/hub/models/late-writer.ts';
import type { ModelMetrics } from '#src/hub/models/metrics.ts';
import { createModelMetrics } from '#src/hub/models/metrics.ts';
import type { Offers } from '#src/hub/models/offers.ts';
import { createOffers } from '#src/hub/models/offers.ts';
import type { Router } from '#src/hub/models/router.ts';
import { createRouter } from '#src/hub/models/router.ts';
import type { ModelRoutes } from '#src/hub/models/routes.ts';
import { openModelRoutes } from '#src/hub/models/routes.ts';
import type { ShareProblems } from '#src/hub/models/share-problems.ts';
import { createShareProblems } from '#src/hub/models/share-problems.ts';
import type { UsageLedger } from '#src/hub/models/usage.ts';
import { openUsage } from '#src/hub/models/usage.ts';

/** The models of the federation: who has them, who may use them and did, and who serves a request. */
export interface Models {
  readonly offers: Offers;
  /** The owner's names for them. */
  readonly routes: ModelRoutes;
  readonly router: Router;
  readonly keys: ModelKeyDesk;
  readonly usage: UsageLedger;
  readonly metrics: ModelMetrics;
  /** What is wrong with what is shared. */
  readonly problems: ShareProblems;
}

export interface ModelsOptions {
  readonly store: Store;
  readonly membership: MembershipKeeper;
  readonly fleet: Fleet;
  readonly lockdown: Pick<LockdownKeeper, 'denial' | 'changes'>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function openModels({ store, membership, fleet, lockdown, log, signal }: ModelsOptions): Promise<Models> {
  const members = () => membership.state().members;
  const nameOf = (nodeId: string): string => members().get(nodeId)?.name ?? nodeId.slice(0, 12);
  const writer = createLateWriter(store, log);
  const keys = await openModelKeys({ store, membership, writer });
  const offers = createOffers({ fleet, mayOffer: (nodeId) => members().get(nodeId)?.grantedModels === true });
  membership.changes.on('node', offers.judge);
  const routes = await openModelRoutes({
    ...{ store, membership },
    findNode: (word) => findMember([...members().values()], () => [], word).id,
  });
  const router = createRouter({
    ...{ fleet, members, offers, routes, signal, allows: keys.allows },
    denied: () => lockdown.denial(),
    onDenied: (listener) => void lockdown.changes.on('lockdown', listener),
  });
  const metrics = createModelMetrics({ nameOf, outages: router.outages });
  const usage = await openUsage({
    ...{ store, membership, writer, nameOf, log },
    listeners: [keys.settle, metrics.recorded],
  });
  return {
    offers,
    routes,
    router: metrics.measured(router),
    keys,
    usage,
    metrics,
    problems: createShareProblems(fleet),
  };
}
