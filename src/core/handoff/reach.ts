import type { Role } from '#src/core/node.ts';
import type { Asker } from '#src/core/policy.ts';
import { matchesWord } from '#src/core/wildcard.ts';

/** An agent by the name of its node, and what that node is. */
export interface PlacedAgent {
  readonly node: string;
  readonly role: Role;
  readonly agent: string;
}

/** `node/agent`, in which `*` stands for any part. */
export function isAgentPattern(text: string): boolean {
  return /^[A-Za-z0-9_.*-]{1,128}\/[A-Za-z0-9_.*-]{1,128}$/.test(text);
}

/**
 * Whether one of the patterns is for the agent. A node that somebody works at, or the master, is reached by its name in
 * full alone: nobody means it who writes a pattern for machines.
 */
export function reaches(patterns: readonly string[], { node, role, agent }: PlacedAgent): boolean {
  return patterns.some((pattern) => {
    const [nodes = '', agents = ''] = pattern.split('/');
    return (role === 'worker' ? matchesWord(nodes, node) : nodes === node) && matchesWord(agents, agent);
  });
}

/** Whether the asker may have to do with the agent, or null: with anything else. A program is kept to those of its key. */
export function mayReach(asker: Asker, agent: PlacedAgent | null): boolean {
  if (asker.kind !== 'operator' || asker.agents === undefined) return true;
  return agent !== null && reaches(asker.agents, agent);
}
