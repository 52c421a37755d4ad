import type { ClusterTool } from '#src/plugin/call.ts';
import { clusterBroadcast } from '#src/plugin/tools/broadcast.ts';
import { clusterExec } from '#src/plugin/tools/exec.ts';
import { clusterHandoff } from '#src/plugin/tools/handoff.ts';
import { clusterPeers } from '#src/plugin/tools/peers.ts';
import { clusterRead } from '#src/plugin/tools/read.ts';
import { clusterScreenshot } from '#src/plugin/tools/screenshot.ts';
import { clusterSend } from '#src/plugin/tools/send.ts';
import { clusterToolTool } from '#src/plugin/tools/tool.ts';
import { clusterWrite } from '#src/plugin/tools/write.ts';

/** The agent’s tools; openclaw.plugin.json names the same. */
export const CLUSTER_TOOLS: readonly [ClusterTool, ...ClusterTool[]] = [
  clusterPeers,
  clusterExec,
  clusterRead,
  clusterWrite,
  clusterToolTool,
  clusterBroadcast,
  clusterScreenshot,
  clusterHandoff,
  clusterSend,
];
