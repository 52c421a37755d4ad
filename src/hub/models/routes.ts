import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ModelRoute } from '#src/core/models/catalog.ts';
import { nearName } from '#src/core/selector.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { ModelRouteSet } from '#src/protocol/models.ts';
import { modelRouteSetSchema } from '#src/protocol/models.ts';

/** The names that the owner gave to models. */
export interface ModelRoutes {
  /** In the order of their names. */
  list(): readonly ModelRoute[];
  find(alias: string): ModelRoute | undefined;
  /** Makes or changes one. Throws NODE_NOT_FOUND, NODE_AMBIGUOUS, and USAGE where there are too many. */
  set(wanted: ModelRouteSet, by: string): Promise<ModelRoute>;
  /** Throws NOT_FOUND. */
  remove(alias: string, by: string): Promise<ModelRoute>;
  /** Called after each change. */
  onChange(listener: () => void): void;
}

export interface ModelRoutesOptions {
  readonly store: Pick<Store, 'modelRoutes'>;
  readonly membership: Pick<MembershipKeeper, 'inTurn' | 'commit' | 'record' | 'now'>;
  /** Id of the member that a word means. */
  readonly findNode: (word: string) => string;
}

const MAX_ROUTES = 1000;

export async function openModelRoutes({ store, membership, findNode }: ModelRoutesOptions): Promise<ModelRoutes> {
  const routes = new Map((await store.modelRoutes()).map((route) => [route.alias, route]));
  const listeners: (() => void)[] = [];
  const { inTurn, commit, record, now } = membership;
  const list = () => [...routes.values()].toSorted((a, b) => (a.alias < b.alias ? -1 : 1));

  function tell(): void {
    for (const listener of listeners) listener();
  }

  return {
    list,
    find: (alias) => routes.get(alias),
    set: (wanted, by) =>
      inTurn(async () => {
        const { alias, model, nodes: words, labels } = modelRouteSetSchema.parse(wanted);
        if (!routes.has(alias) && routes.size >= MAX_ROUTES) {
          throw new FederationError('USAGE', `there are ${MAX_ROUTES} routes, which is as many as may be`, {
            hint: 'manage-federation models route --remove ALIAS',
          });
        }
        const nodes = [...new Set(words.map(findNode))];
        const route: ModelRoute = { alias, model, nodes, labels, createdAt: now(), createdBy: by };
        const audit = record('model.route', by, { alias, model, nodes, labels });
        await commit([], [{ type: 'model_route', id: alias, value: route }, audit]);
        routes.set(alias, route);
        tell();
        return route;
      }),
    remove: (alias, by) =>
      inTurn(async () => {
        const route = routes.get(alias);
        if (route === undefined) throw noRoute(list(), alias);
        const audit = record('model.unroute', by, { alias, model: route.model });
        await commit([], [{ type: 'model_route', id: alias, value: null }, audit]);
        routes.delete(alias);
        tell();
        return route;
      }),
    onChange: (listener) => void listeners.push(listener),
  };
}

function noRoute(routes: readonly ModelRoute[], alias: string): FederationError {
  const near = nearName(
    routes.map((route) => ({ id: route.alias, name: route.alias })),
    alias,
  );
  return new FederationError('NOT_FOUND', `there is no route ${JSON.stringify(alias)}`, {
    hint: near === null ? 'manage-federation models list' : `did you mean ${near}?`,
  });
}
