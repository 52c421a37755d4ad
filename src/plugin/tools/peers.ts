import { z } from 'zod';
import { clusterTool } from '#src/plugin/call.ts';
import { askPeers, peerLine, peersText } from '#src/plugin/peers.ts';

/** More would fill the model’s context. */
const MOST = 200;

export const clusterPeers = clusterTool({
  name: 'cluster_peers',
  label: 'List the machines',
  description:
    'List the machines of the user that are nodes of the federation: name, id, online or offline, labels, groups, and what ' +
    'each can do (shell, camera, screen). Use it to find out which machine is meant.',
  parameters: z.strictObject({
    match: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Only those of which the name, a label or a group holds this'),
  }),
  wish: () => null,
  async run({ match = '' }, { hub, signal }) {
    const peers = await askPeers(hub, signal);
    const found = peers.filter((peer) => peerLine(peer).toLowerCase().includes(match.toLowerCase()));
    const more = found.length > MOST ? `\n[… and ${found.length - MOST} more: narrow it with match …]` : '';
    return {
      text: `${peersText(found.slice(0, MOST))}${more}`,
      details: { machines: { known: peers.length, found: found.length } },
    };
  },
});
