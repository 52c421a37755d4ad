import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { ModelRoute, Offer } from '#src/core/models/catalog.ts';
import { findNode, nearName } from '#src/core/selector.ts';

/** The models of the federation, to be looked up. */
export interface Catalog {
  /** Who offers the model of that id. */
  offering(modelId: string): readonly Offer[];
  /** What a node offers. */
  of(nodeId: string): readonly Offer[];
  modelIds(): Iterable<string>;
  route(alias: string): ModelRoute | undefined;
  /** Members that are not revoked, by exact name. */
  memberNamed(name: string): Member | undefined;
  member(nodeId: string): Member | undefined;
  /** All that are not revoked. */
  members(): readonly Member[];
  /** Ids of the nodes that offered it the last time that they were there, and are not now. */
  lost(modelId: string): readonly string[];
  /** Ids of the nodes that offer it and may not. */
  withheld(modelId: string): readonly string[];
}

/** What a client meant. */
export interface Meant {
  /** Null where the request names no model, and a node is pinned. */
  readonly model: string | null;
  readonly route: ModelRoute | null;
  /** The one node that may serve; null where any may. */
  readonly pinned: Member | null;
  readonly offers: readonly Offer[];
}

/**
 * What the words of a request mean. A name that the owner gave comes first. `node/model` is that node where it is a
 * member, so that nobody else can take what was meant for it alone; where its own model has such a name, that.
 * Throws MODEL_NOT_FOUND, MODEL_UNAVAILABLE for one whose nodes are away, NODE_NOT_FOUND, NODE_AMBIGUOUS.
 */
export function resolveModel(
  catalog: Catalog,
  { model, node }: { readonly model: string | null; readonly node: string | null },
): Meant {
  const pin = node === null ? null : pinOf(catalog, node);
  const meant = model === null ? withoutModel(catalog, pin) : named(catalog, model);
  if (pin === null) return meant;
  if (meant.pinned !== null && meant.pinned.id !== pin.member.id) {
    throw notFound(
      catalog,
      `${meant.pinned.name} is asked for by the model’s name, and ${pin.member.name} by a header`,
    );
  }
  const offers = meant.offers.filter(
    ({ nodeId, offered }) => nodeId === pin.member.id && (pin.upstream === null || offered.upstream === pin.upstream),
  );
  if (offers.length === 0) throw missing(catalog, model, pin.member);
  return { ...meant, pinned: pin.member, offers };
}

/** Whether the nodes of a route are any, or this one, by whatever key it has had. */
export function isRoutedTo({ nodes }: ModelRoute, member: Member): boolean {
  return nodes.length === 0 || nodes.includes(member.id) || formerIds(member).some((id) => nodes.includes(id));
}

/** Whether a member has all of those labels, as the owner set them. */
export function hasLabels({ labels }: Pick<Member, 'labels'>, wanted: Readonly<Record<string, string>>): boolean {
  for (const key of Object.keys(wanted)) if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  return true;
}

interface Pin {
  readonly member: Member;
  readonly upstream: string | null;
}

function pinOf(catalog: Catalog, word: string): Pin {
  const at = word.indexOf('/');
  const nodeWord = at === -1 ? word : word.slice(0, at);
  const member = catalog.memberNamed(nodeWord) ?? findNode(catalog.members(), nodeWord);
  return { member, upstream: at === -1 ? null : word.slice(at + 1) };
}

function named(catalog: Catalog, model: string): Meant {
  const route = catalog.route(model);
  if (route !== undefined) return byRoute(catalog, route);
  const at = model.indexOf('/');
  const pinned = at === -1 ? undefined : catalog.memberNamed(model.slice(0, at));
  if (pinned !== undefined) return byPin(catalog, pinned, model, model.slice(at + 1));
  const offers = catalog.offering(model);
  if (offers.length === 0) throw missing(catalog, model, null);
  return { model, route: null, pinned: null, offers };
}

function byRoute(catalog: Catalog, route: ModelRoute): Meant {
  const offers = catalog.offering(route.model).filter(({ nodeId }) => {
    const member = catalog.member(nodeId);
    return member !== undefined && isRoutedTo(route, member);
  });
  if (offers.length === 0) {
    throw new FederationError(
      'MODEL_UNAVAILABLE',
      `no node that ${route.alias} may be served by offers ${route.model} now`,
      {
        hint: 'manage-federation models list',
      },
    );
  }
  return { model: route.model, route, pinned: null, offers };
}

function byPin(catalog: Catalog, pinned: Member, whole: string, rest: string): Meant {
  const own = (model: string): Meant => {
    const offers = catalog.offering(model).filter(({ nodeId }) => nodeId === pinned.id);
    return { model, route: null, pinned, offers };
  };
  const meant = [own(rest), own(whole)].find(({ offers }) => offers.length > 0);
  if (meant === undefined) throw missing(catalog, rest, pinned);
  return meant;
}

/** Of a path that names no model: the node’s one upstream, or that which the header names beside it. */
function withoutModel(catalog: Catalog, pin: Pin | null): Meant {
  if (pin === null) {
    throw new FederationError('MODEL_NOT_FOUND', 'the request names no model and no node', {
      hint: 'give a model, or the header x-federation-node',
    });
  }
  const offers = catalog.of(pin.member.id);
  const upstreams = [...new Set(offers.map(({ offered }) => offered.upstream))];
  if (pin.upstream === null && upstreams.length > 1) {
    throw new FederationError(
      'MODEL_NOT_FOUND',
      `${pin.member.name} has ${upstreams.length} upstreams and no model is named`,
      {
        hint: `give the header x-federation-node: ${pin.member.name}/${upstreams[0]}`,
      },
    );
  }
  return { model: null, route: null, pinned: pin.member, offers };
}

function missing(catalog: Catalog, model: string | null, node: Member | null): FederationError {
  const what = model === null ? 'models' : JSON.stringify(model.slice(0, 200));
  const away = model === null ? [] : catalog.lost(model);
  const names = catalog.members().flatMap(({ id, name }) => (away.includes(id) ? [name] : []));
  if (names.length > 0 && (node === null || names.includes(node.name))) {
    const who = node === null ? names.slice(0, 4).join(', ') : node.name;
    return new FederationError('MODEL_UNAVAILABLE', `${who} had ${what} and is not there now`, {
      hint: `manage-federation status ${node?.name ?? names[0]}`,
    });
  }
  const mute = model === null ? [] : catalog.withheld(model);
  const [barred] = catalog.members().filter(({ id }) => mute.includes(id) && (node === null || node.id === id));
  if (barred !== undefined) {
    throw new FederationError('MODEL_NOT_FOUND', `${barred.name} has ${what} and may not offer models`, {
      hint: `manage-federation models allow ${barred.name}`,
    });
  }
  const message = node === null ? `no node offers ${what}` : `${node.name} does not offer ${what}`;
  return notFound(catalog, message, model ?? '');
}

/** Models among which one is looked for that may have been meant: nobody is to keep the hub busy by mistakes. */
const LOOKED_THROUGH = 1000;

function notFound(catalog: Catalog, message: string, word = ''): FederationError {
  const known = [...catalog.modelIds()].slice(0, LOOKED_THROUGH);
  const near = nearName(
    known.map((id) => ({ id, name: id })),
    word,
  );
  return new FederationError('MODEL_NOT_FOUND', message, {
    hint: near === null ? 'manage-federation models list' : `did you mean ${near}?`,
  });
}
