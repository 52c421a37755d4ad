import type { AgentPlace } from '#src/core/handoff/resolve.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';

/** What the agents of the federation do now, as far as the hub gave it to them. */
export interface Load {
  readonly running: number;
  readonly waiting: number;
}

export type LoadOf = (nodeId: string, agent: string) => Load;

/** Counted once, for a look at many places; `add` counts what is about to be given to one. */
export function countLoad(live: Iterable<HandoffRecord>): { readonly of: LoadOf; add(place: AgentPlace): void } {
  const counts = new Map<string, { running: number; waiting: number }>();
  const at = (nodeId: string, agent: string) => {
    const key = placeKey(nodeId, agent);
    const found = counts.get(key) ?? { running: 0, waiting: 0 };
    counts.set(key, found);
    return found;
  };
  for (const { node, agent, state } of live) {
    if (node !== null && agent !== null) at(node.id, agent)[state === 'started' ? 'running' : 'waiting'] += 1;
  }
  return { of: at, add: ({ node, agent }) => void (at(node.id, agent.id).waiting += 1) };
}

export function placeKey(nodeId: string, agent: string): string {
  return `${nodeId}/${agent}`;
}
