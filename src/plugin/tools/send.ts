import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { tell } from '#src/adapters/handoffs/tell.ts';
import { FederationError } from '#src/core/errors.ts';
import { messageText } from '#src/core/handoff/message-text.ts';
import { clusterTool } from '#src/plugin/call.ts';
import { oneLine } from '#src/plugin/quoted.ts';
import { askable, placeOf, targetParameter } from '#src/plugin/tools/target-agent.ts';
import type { MessageCreate } from '#src/protocol/handoffs.ts';

/** For a hub that goes away while it is handed over. */
const PATIENCE_MS = 60_000;

export const clusterSend = clusterTool({
  name: 'cluster_send',
  label: 'Tell an agent on a machine something',
  description:
    'Send a message to the agent on another machine of the user (node of the federation), without waiting for an answer: it ' +
    'is delivered once, and kept for up to a week while that machine is away. For work with an answer there is cluster_handoff.',
  parameters: z.strictObject({
    target: targetParameter,
    message: z.string().min(1).describe('What the agent there is to know'),
  }),
  wish({ target, message }) {
    const place = placeOf(target);
    if (place === null) return null;
    return { targets: [place.node], action: { kind: 'message', agent: place.agent, message } };
  },
  async run({ target, message }, { hub, approved, signal, progress }) {
    const order: MessageCreate = {
      key: randomUUID(),
      target: approved === null ? target : `${approved.targets[0]}/${placeOf(target)?.agent}`,
      message,
      ...(approved === null ? {} : { approval: approved.id }),
    };
    const onAway = (problem: string): void => progress(() => `${problem}; it is asked again`);
    const sent = await tell(hub, order, { signal, patienceMs: PATIENCE_MS, onAway }).catch((error: unknown) => {
      throw askable(error, target);
    });
    const { id, state, node, agent } = sent;
    const text = oneLine(messageText(sent));
    if (state === 'refused') throw new FederationError('TOOL_FAILED', text);
    return { text, details: { message: { id, state, node: node.name, nodeId: node.id, agent } } };
  },
});
