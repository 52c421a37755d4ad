import { z } from 'zod';
import { clusterTool } from '#src/plugin/call.ts';
import { askPeers, peersText } from '#src/plugin/peers.ts';

export const clusterPeers = clusterTool({
  name: 'cluster_peers',
  label: 'List the machines',
  description:
    'List the machines of the user that are nodes of the federation: name, id, online or offline, labels, groups, and what ' +
    'each can do (shell, camera, screen). Use it to find out which machine is meant.',
  parameters: z.strictObject({}),
  wish: () => null,
  async run(_, { hub, signal }) {
    const peers = await askPeers(hub, signal);
    return { text: peersText(peers), details: { peers } };
  },
});
