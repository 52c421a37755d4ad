import { z } from 'zod';
import { clusterTool } from '#src/plugin/call.ts';
import { toolAnswer, useTool } from '#src/plugin/node-tool.ts';
import { nodeParameter } from '#src/plugin/tools/node-parameter.ts';

const SECONDS = 60;
const MAX_SECONDS = 600;

export const clusterToolTool = clusterTool({
  name: 'cluster_tool',
  label: 'Use a tool of a machine',
  description:
    'Use an OpenClaw tool of another machine of the user (node of the federation) by its own gateway, or with node:COMMAND ' +
    'a command of its OpenClaw node such as node:location.get. A machine allows only the tools on its own list.',
  parameters: z.strictObject({
    node: nodeParameter,
    tool: z.string().min(1).max(132).describe('Name of the tool there, or node:COMMAND'),
    args: z.record(z.string(), z.unknown()).default({}).describe('Arguments as that tool takes them'),
    timeout: z.int().min(1).max(MAX_SECONDS).default(SECONDS).describe('Seconds for it'),
  }),
  wish: ({ node, tool, args }) => ({ targets: [node], action: { kind: 'tool', tool, args } }),
  async run({ node, tool, args, timeout }, call) {
    return toolAnswer(await useTool(call, node, { tool, args, timeoutMs: timeout * 1000 }));
  },
});
