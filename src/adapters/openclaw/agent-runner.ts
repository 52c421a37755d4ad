import { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import { openAgentLink } from '#src/adapters/openclaw/agent-link.ts';
import type { AgentRow } from '#src/adapters/openclaw/agent-messages.ts';
import { agentListSchema, historySchema } from '#src/adapters/openclaw/agent-messages.ts';
import { conductRun, followRun } from '#src/adapters/openclaw/agent-run.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { ownGatewayFile } from '#src/adapters/openclaw/own-gateway-access.ts';

export interface GatewayRunnerOptions {
  /** openclaw.json of this node's own gateway; that of this user where it is not given. */
  readonly settingsFile: string | undefined;
  readonly log: Log;
}

/** Handoffs that an agent of the gateway works on at once, where no setting says it: as OpenClaw's own limit is. */
const CONCURRENCY = 4;
/** Messages that are looked through for one that may have come already. */
const LOOK_BACK = 200;

/** The agents of this node's own OpenClaw gateway. */
export function gatewayRunner({ settingsFile, log }: GatewayRunnerOptions): AgentRunner {
  const file = ownGatewayFile(settingsFile);
  const link = openAgentLink({ settingsFile: file, log });

  function connected(): GatewayConnection {
    const connection = link.connection();
    if (connection !== null) return connection;
    throw new FederationError('GATEWAY_UNREACHABLE', 'this node’s own OpenClaw gateway can’t be reached', {
      hint: 'openclaw gateway status, on that node',
    });
  }

  return {
    isReady: () => link.connection() !== null,
    onReady: link.onChange,
    async agents() {
      const { defaultId, agents } = await connected().request('agents.list', {}, agentListSchema);
      const first = (row: AgentRow): number => (row.id === defaultId ? 0 : 1);
      return agents.rows.toSorted((a, b) => first(a) - first(b)).map(offered);
    },
    run: (order) => conductRun(link, file, order),
    attach: (order) => followRun(link, file, order),
    async deliver({ key, agent, text }, perhaps) {
      const sessionKey = `agent:${agent}:main`;
      const connection = connected();
      if (perhaps) {
        const asked = { sessionKey, limit: LOOK_BACK };
        const { messages } = await connection.request('chat.history', asked, historySchema);
        if (messages.some(({ idempotencyKey }) => idempotencyKey === `${key}:user`)) return { replayed: true };
      }
      const told = { message: text, agentId: agent, sessionKey, idempotencyKey: key, deliver: false };
      // Its first answer says that the agent has it; what the agent does then is nobody's to wait for.
      await connection.request('agent', told, z.object({ status: z.string() }));
      return { replayed: false };
    },
    close: link.close,
  };
}

function offered({ id, name = '', identity }: AgentRow): OfferedAgent {
  const description = [name || identity?.name || '', identity?.theme ?? ''].filter(Boolean).join(': ');
  return { id, description: description.slice(0, 500).toWellFormed(), tags: [], concurrency: CONCURRENCY };
}
