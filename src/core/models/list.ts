import type { ListedModel, ModelRoute, OfferedModel } from '#src/core/models/catalog.ts';
import { isLoaded, mergeFacts } from '#src/core/models/facts.ts';

/** A model of a node that may be asked now. */
export interface Usable {
  readonly nodeId: string;
  readonly nodeName: string;
  /** Left out of what is not asked of it by name. */
  readonly drained: boolean;
  readonly offered: OfferedModel;
}

export interface ListOptions {
  readonly usable: readonly Usable[];
  readonly routes: readonly ModelRoute[];
  /** Whether a node may serve a route, by id and labels. */
  readonly isRoutedTo: (route: ModelRoute, nodeId: string) => boolean;
  readonly isMemberName: (name: string) => boolean;
}

/** Everything that a client may write as `model` and that is served now, in the order of the names. */
export function listModels({ usable, routes, isRoutedTo, isMemberName }: ListOptions): readonly ListedModel[] {
  const open = usable.filter(({ drained }) => !drained);
  const byModel = Map.groupBy(open, ({ offered }) => offered.id);
  const aliases = new Set(routes.map(({ alias }) => alias));
  const isOwn = (id: string) => !aliases.has(id) && !isMemberName(id.split('/', 1)[0] ?? '');
  const listed = [
    ...routes.flatMap((route) => {
      const serving = (byModel.get(route.model) ?? []).filter(({ nodeId }) => isRoutedTo(route, nodeId));
      return serving.length === 0 ? [] : [entry('route', route.alias, serving)];
    }),
    ...[...byModel].flatMap(([id, serving]) => (isOwn(id) ? [entry('model', id, serving)] : [])),
    ...[...Map.groupBy(usable, ({ nodeName, offered }) => `${nodeName}/${offered.id}`)].flatMap(([id, serving]) =>
      aliases.has(id) ? [] : [entry('pinned', id, serving)],
    ),
  ];
  return listed.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function entry(kind: ListedModel['kind'], id: string, serving: readonly Usable[]): ListedModel {
  const offered = serving.map((one) => one.offered);
  return {
    ...{ id, kind },
    model: offered[0]?.id ?? id,
    nodes: [...new Set(serving.map(({ nodeName }) => nodeName))].toSorted(),
    apis: [...new Set(offered.map(({ api }) => api))],
    facts: mergeFacts(offered),
    loaded: isLoaded(offered),
  };
}
