import { FederationError } from '#src/core/errors.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { Named, Selectable, Selector } from '#src/core/selector.ts';
import { findNode, isSelected, missText, nearName, parseSelector } from '#src/core/selector.ts';

/** A node where a handoff may go, and what is known of its agents. */
export interface AgentNode extends Named, Selectable {
  readonly isOnline: boolean;
  /** Takes only what is meant for it by name. */
  readonly drained: boolean;
  /** What it offers; null where it has not said so (yet). */
  readonly agents: readonly OfferedAgent[] | null;
}

/** What a caller's word means now. */
export interface Meant {
  /** It means this node and no other, whether it is there or not. */
  readonly node: AgentNode | null;
  /** It means the agent of this id; null: the first of its node, or whatever fits. */
  readonly agent: string | null;
  /** Those that can be asked now, in no order. */
  readonly places: readonly AgentPlace[];
}

export interface AgentPlace {
  readonly node: AgentNode;
  readonly agent: OfferedAgent;
}

/**
 * `node/agent`; a node, which means its first agent; an agent’s id; `tags:x` of agents, else of nodes; `key=value` and
 * `@group` of nodes. The name of a node comes before the id of an agent, which any node may choose. Throws
 * AGENT_NOT_FOUND, NODE_NOT_FOUND, NODE_AMBIGUOUS, USAGE.
 */
export function resolveTarget(nodes: readonly AgentNode[], target: string): Meant {
  const selector = parseSelector(target);
  if (selector.kind !== 'node') return inCommon(nodes, target, selector);
  const [, word, agent] = /^([^/]*)\/(.*)$/s.exec(target) ?? [null, target, null];
  if (agent !== null) {
    if (word !== '' && agent !== '') return onNode(findNode(nodes, word), agent);
    throw new FederationError('USAGE', `${JSON.stringify(target)} names no ${word === '' ? 'node' : 'agent'}`, {
      hint: 'NODE/AGENT: manage-federation agents',
    });
  }
  const named = nodes.filter(({ name }) => name === word);
  if (named.length > 0) return onNode(findNode(nodes, word), null);
  const places = placesOf(nodes, (offered) => offered.id === word);
  if (places.length > 0) return { node: null, agent: word, places };
  return onNode(nodeOrNothing(nodes, word), null);
}

/** The place with the most room, then by name: so that two hubs would choose the same. */
export function leastLoaded(
  places: readonly AgentPlace[],
  load: (place: AgentPlace) => number,
): AgentPlace | undefined {
  const share = (place: AgentPlace) => load(place) / place.agent.concurrency;
  return places.toSorted(
    (a, b) =>
      share(a) - share(b) ||
      a.node.name.localeCompare(b.node.name, 'en', { numeric: true }) ||
      a.agent.id.localeCompare(b.agent.id, 'en'),
  )[0];
}

function onNode(node: AgentNode, wanted: string | null): Meant {
  if (!node.isOnline || node.agents === null) return { node, agent: wanted, places: [] };
  const agent = wanted === null ? node.agents[0] : node.agents.find(({ id }) => id === wanted);
  if (agent !== undefined) return { node, agent: wanted, places: [{ node, agent }] };
  if (node.agents.length === 0) {
    throw new FederationError('AGENT_NOT_FOUND', `${node.name} offers no agents`, {
      hint: 'an OpenClaw gateway has to run there, and handoffs.enabled be on: manage-federation agents',
    });
  }
  const known = listed(node.agents.map(({ id }) => id));
  throw new FederationError('AGENT_NOT_FOUND', `${node.name} offers no agent ${JSON.stringify(wanted)}`, {
    hint: `it offers ${known}`,
  });
}

function inCommon(nodes: readonly AgentNode[], target: string, selector: Exclude<Selector, { kind: 'node' }>): Meant {
  const { tag } = selector.kind === 'tag' ? selector : { tag: null };
  const tagged = tag === null ? [] : placesOf(nodes, ({ tags }) => tags.includes(tag));
  if (tagged.length > 0) return { node: null, agent: null, places: tagged };
  const places = placesOf(
    nodes.filter((node) => isSelected(selector, node)),
    (offered, { agents }) => offered === agents?.[0],
  );
  if (places.length > 0) return { node: null, agent: null, places };
  throw nobody(nodes, target, `no agent that is there fits ${JSON.stringify(target)}`);
}

function placesOf(
  nodes: readonly AgentNode[],
  fits: (agent: OfferedAgent, node: AgentNode) => boolean,
): readonly AgentPlace[] {
  return nodes
    .filter(({ isOnline, drained }) => isOnline && !drained)
    .flatMap((node) => (node.agents ?? []).filter((agent) => fits(agent, node)).map((agent) => ({ node, agent })));
}

function nodeOrNothing(nodes: readonly AgentNode[], word: string): AgentNode {
  try {
    return findNode(nodes, word);
  } catch (error) {
    if (!(error instanceof FederationError) || error.code !== 'NODE_NOT_FOUND') throw error;
    throw nobody(nodes, word, missText(nodes, word, `no agent and no node is called ${JSON.stringify(word)}`));
  }
}

function nobody(nodes: readonly AgentNode[], target: string, message: string): FederationError {
  const near = nearName(nodes, target);
  const known = nodes.flatMap(({ name, agents, isOnline }) =>
    isOnline ? (agents ?? []).map(({ id }) => `${name}/${id}`) : [],
  );
  const there = known.length === 0 ? 'no node offers any now' : `there are ${listed(known)}`;
  return new FederationError('AGENT_NOT_FOUND', message, {
    hint: near === null ? `manage-federation agents (${there})` : `did you mean ${near}?`,
  });
}

function listed(words: readonly string[]): string {
  const some = words.slice(0, 8).join(', ');
  return words.length > 8 ? `${some} and ${words.length - 8} more` : some;
}
