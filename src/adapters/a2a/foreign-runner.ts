import type { Client } from '@a2a-js/sdk/client';
import { FederationError } from '#src/core/errors.ts';
import type { ForeignServer } from '#src/adapters/a2a/foreign-run.ts';
import { openTaskIds } from '#src/adapters/a2a/task-ids.ts';
import { readUpstreamKey } from '#src/adapters/models/upstream-key.ts';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import type { Settings } from '#src/core/settings.ts';

export interface ForeignRunnerOptions {
  readonly agents: Settings['handoffs']['foreign'];
  /** Where key files are that have no folder. */
  readonly home: string;
  /** Where it is written down which task a run is. */
  readonly tasks: string;
  /** Where the files of an answer go, by the id of its handoff. */
  readonly out: (handoff: string) => string;
}

/**
 * Agents elsewhere, by the A2A protocol. What A2A lacks can’t be had of a server that doesn’t have it by itself: after a
 * cut it may be unknown whether a message came, and of what was said meanwhile only the whole answer comes back.
 */
export function foreignRunner({ agents, home, tasks: folder, out }: ForeignRunnerOptions): AgentRunner {
  const tasks = openTaskIds(folder);

  function connecting(agent: string): () => Promise<ForeignServer> {
    return async () => {
      const foreign = agents.find(({ id }) => id === agent);
      if (foreign === undefined) throw new Error(`the settings name no agent ${agent} any more`);
      const { card, keyFile } = foreign;
      // The SDK is loaded by who needs it.
      const { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory } = await import('@a2a-js/sdk/client');
      const { guardedFetch } = await import('#src/adapters/a2a/guarded-fetch.ts');
      const fetchImpl = guardedFetch(card, () => readUpstreamKey({ keyFile }, home));
      const legacyCompat = { enabled: true };
      const factory = new ClientFactory({
        transports: [new JsonRpcTransportFactory({ fetchImpl, legacyCompat })],
        cardResolver: new DefaultAgentCardResolver({ fetchImpl, legacyCompat }),
      });
      const client: Client = await factory.createFromUrl(card, '');
      const { capabilities } = await client.getAgentCard();
      const replays = capabilities?.extensions?.some(({ uri }) => uri === A2A_EXTENSION) === true;
      return { client, replays, streams: capabilities?.streaming === true };
    };
  }

  return {
    isReady: () => true,
    onReady: () => () => undefined,
    agents: () =>
      Promise.resolve(
        agents.map(({ id, card, description, tags, concurrency }) => ({
          ...{ id, tags, concurrency, description: description ?? `at ${new URL(card).host}` },
        })),
      ),
    async run(order) {
      const { conductRun } = await import('#src/adapters/a2a/foreign-run.ts');
      return conductRun({ connect: connecting(order.agent), tasks }, order);
    },
    async attach(order) {
      const { followRun } = await import('#src/adapters/a2a/foreign-run.ts');
      return followRun({ connect: connecting(order.agent), tasks }, order, out(order.key));
    },
    async deliver({ key, agent, text }, perhaps) {
      const { tell } = await import('#src/adapters/a2a/foreign-message.ts');
      const server = await connecting(agent)().catch((cause: unknown) => {
        throw new FederationError('GATEWAY_UNREACHABLE', `the foreign agent ${agent} can’t be reached`, { cause });
      });
      return tell(server, { key, text }, perhaps);
    },
    close: () => Promise.resolve(),
  };
}
