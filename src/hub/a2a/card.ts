import type { AgentCard } from '@a2a-js/sdk';
import { A2A_PROTOCOL_VERSION } from '@a2a-js/sdk';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';

export interface CardFacts {
  readonly node: string;
  readonly agent: Pick<OfferedAgent, 'id' | 'description' | 'tags'>;
  /** Where it is asked. */
  readonly url: string;
  /** Of this program. */
  readonly version: string;
}

/** An agent as other programs find it: its skills are its tags, and where it has none, it is its own. */
export function agentCard({ node, agent: { id, description, tags }, url, version }: CardFacts): AgentCard {
  const about = description === '' ? `The agent ${id} of the node ${node}` : description;
  const skill = (name: string) => ({
    ...{ id: name, name, description: about, tags: [name] },
    ...{ examples: [], inputModes: [], outputModes: [], securityRequirements: [] },
  });
  return {
    name: `${node}/${id}`,
    description: about,
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: A2A_PROTOCOL_VERSION }],
    provider: undefined,
    version,
    capabilities: {
      streaming: true,
      pushNotifications: false,
      extendedAgentCard: false,
      extensions: [
        {
          uri: A2A_EXTENSION,
          description:
            'Every update has a seq, as the SSE id and in its metadata; Last-Event-ID brings all after it. The same ' +
            'messageId is the same task. A message may set deadline, idleTimeoutMs, queueTimeoutMs, rerunnable and ' +
            'cancelOnDisconnect in its metadata',
          required: false,
          params: { replay: 'Last-Event-ID', idempotency: 'messageId' },
        },
      ],
    },
    securitySchemes: {
      key: {
        scheme: {
          $case: 'httpAuthSecurityScheme',
          value: { description: 'A key of the federation', scheme: 'Bearer', bearerFormat: '' },
        },
      },
    },
    securityRequirements: [{ schemes: { key: { list: [] } } }],
    defaultInputModes: ['text/plain', 'application/json', 'application/octet-stream'],
    defaultOutputModes: ['text/plain', 'application/octet-stream'],
    skills: (tags.length === 0 ? [id] : tags).map(skill),
    signatures: [],
  };
}
