import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';

/** The agents of this node's own gateway and those elsewhere that it speaks for, as one: an agent of both is the latter. */
export function joinRunners(own: AgentRunner, foreign: AgentRunner, ids: readonly string[]): AgentRunner {
  const of = (agent: string): AgentRunner => (ids.includes(agent) ? foreign : own);
  /** A gateway that is away for a moment has the agents that it had. */
  let known: readonly OfferedAgent[] = [];
  return {
    isReady: (agent) => (agent === undefined ? true : of(agent).isReady(agent)),
    onReady: own.onReady,
    async agents() {
      if (own.isReady()) known = await own.agents();
      const others = known.filter(({ id }) => !ids.includes(id));
      return [...others, ...(await foreign.agents())];
    },
    run: (order) => of(order.agent).run(order),
    attach: (order) => of(order.agent).attach(order),
    deliver: (message, perhaps) => of(message.agent).deliver(message, perhaps),
    async close() {
      await Promise.all([own.close(), foreign.close()]);
    },
  };
}
