import type { NodeHostState } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** What the gateway sees of a member's node host. */
export const NODE_HOST_WORDS: Readonly<Record<NodeHostState, string>> = {
  none: '-',
  unpaired: 'not paired yet',
  disconnected: 'not connected',
  connected: 'connected',
  unknown: 'gateway not reachable',
};

/** What one of OpenClaw's own nodes offers there. */
export function openClawText({ commands: { length } }: OpenClawNodeView): string {
  return length === 0 ? 'no commands' : `${length} ${length === 1 ? 'command' : 'commands'}`;
}
