import { z } from 'zod';
import { isAgentId } from '#src/core/handoff/agent.ts';
import { FederationError } from '#src/core/errors.ts';

/** How the agent names the one that is to have the work. */
export const targetParameter = z
  .string()
  .min(1)
  .max(384)
  .describe(
    'Name of the machine as the person says it, MACHINE/AGENT (see cluster_peers), the id of an agent, tags:TAG of agents, ' +
      'or LABEL=VALUE of machines',
  );

/** The node and the agent of `MACHINE/AGENT`; null where the hub chooses one of them. */
export function placeOf(target: string): { readonly node: string; readonly agent: string } | null {
  const [, node, agent] = /^([^/@=:]+)\/([^/]+)$/.exec(target) ?? [];
  return node === undefined || agent === undefined || !isAgentId(agent) ? null : { node, agent };
}

/** What is approved is for one agent of one machine: only who names both can be asked about. */
export function askable(error: unknown, target: string): unknown {
  const isAsked = error instanceof FederationError && error.code === 'APPROVAL_NEEDED' && placeOf(target) === null;
  if (!isAsked) return error;
  return new FederationError('APPROVAL_NEEDED', error.message, {
    hint: 'name it as MACHINE/AGENT, as cluster_peers shows it, so that the owner can be asked',
    cause: error,
  });
}
