import type { Store } from '#src/adapters/store/store.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { findMember } from '#src/hub/fleet/targets.ts';
import type { LockdownKeeper } from '#src/hub/jobs/lockdown.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { Offers } from '#src/hub/models/offers.ts';
import { createOffers } from '#src/hub/models/offers.ts';
import type { Router } from '#src/hub/models/router.ts';
import { createRouter } from '#src/hub/models/router.ts';
import type { ModelRoutes } from '#src/hub/models/routes.ts';
import { openModelRoutes } from '#src/hub/models/routes.ts';

/** The models of the federation: who has them, the owner's names for them, and who serves a request. */
export interface Models {
  readonly offers: Offers;
  readonly routes: ModelRoutes;
  readonly router: Router;
}

export interface ModelsOptions {
  readonly store: Pick<Store, 'modelRoutes'>;
  readonly membership: MembershipKeeper;
  readonly fleet: Fleet;
  readonly lockdown: Pick<LockdownKeeper, 'denial' | 'changes'>;
  readonly signal: AbortSignal;
}

export async function openModels({ store, membership, fleet, lockdown, signal }: ModelsOptions): Promise<Models> {
  const members = () => membership.state().members;
  const offers = createOffers(fleet);
  const routes = await openModelRoutes({
    ...{ store, membership },
    findNode: (word) => findMember([...members().values()], () => [], word).id,
  });
  const router = createRouter({
    ...{ fleet, members, offers, routes, signal },
    denied: () => lockdown.denial(),
    onDenied: (listener) => void lockdown.changes.on('lockdown', listener),
  });
  return { offers, routes, router };
}
