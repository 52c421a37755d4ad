import type { Member } from '#src/core/member.ts';
import type { Catalog } from '#src/core/models/resolve.ts';
import type { Offers } from '#src/hub/models/offers.ts';
import type { ModelRoutes } from '#src/hub/models/routes.ts';

/** Members by id; another map after each change. */
export type Members = () => ReadonlyMap<string, Member>;

/** The offers, the routes and the members, looked up as they are now. */
export function liveCatalog(offers: Offers, routes: Pick<ModelRoutes, 'find'>, members: Members): Catalog {
  let indexed: ReadonlyMap<string, Member> | null = null;
  let standing: readonly Member[] = [];
  let names: ReadonlyMap<string, Member> = new Map();

  function look(): void {
    const now = members();
    if (now === indexed) return;
    indexed = now;
    standing = [...now.values()].filter(({ revokedAt }) => revokedAt === null);
    names = new Map(standing.map((member) => [member.name, member]));
  }

  return {
    offering: (modelId) => offers.offering(modelId),
    of: (nodeId) => offers.of(nodeId),
    modelIds: () => offers.modelIds(),
    route: (alias) => routes.find(alias),
    memberNamed(name) {
      look();
      return names.get(name);
    },
    member: (nodeId) => members().get(nodeId),
    members() {
      look();
      return standing;
    },
    lost: (modelId) => offers.lost(modelId),
    withheld: (modelId) =>
      offers.withheld().flatMap(({ nodeId, models }) => (models.includes(modelId) ? [nodeId] : [])),
  };
}
