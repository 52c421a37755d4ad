import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { agentTool, readParameters } from '#src/plugin/agent-tool.ts';
import { createApprovals } from '#src/plugin/approvals.ts';
import { askerOfHook } from '#src/plugin/asker.ts';
import { registerButtons } from '#src/plugin/buttons.ts';
import { federationCommand } from '#src/plugin/command.ts';
import { registerCommandLine } from '#src/plugin/command-line.ts';
import { pluginHub } from '#src/plugin/hub.ts';
import { registerMethods } from '#src/plugin/methods.ts';
import { federationProvider } from '#src/plugin/models/provider.ts';
import { registerModelRoute } from '#src/plugin/models/route.ts';
import { hubNews } from '#src/plugin/news.ts';
import { CLUSTER_TOOLS } from '#src/plugin/tools.ts';

const settingsSchema = z.object({
  socket: z.string().min(1).optional(),
  modelsKeyFile: z.string().min(1).optional(),
});

/** Called several times in one process, also only to see what there is: nothing is opened or started here. */
function register(api: OpenClawPluginApi): void {
  registerCommandLine(api);
  if (api.registrationMode === 'cli-metadata') return;
  const { socket, modelsKeyFile } = settingsSchema.parse(api.pluginConfig ?? {});
  const hub = pluginHub(socket);
  const approvals = createApprovals();
  const saveMedia: OpenClawPluginApi['runtime']['channel']['media']['saveMediaBuffer'] = (...said) =>
    api.runtime.channel.media.saveMediaBuffer(...said);

  for (const tool of CLUSTER_TOOLS) {
    api.registerTool(
      (context) => agentTool(tool, context, { hub, workerKeyFile: modelsKeyFile, approvals, saveMedia }),
      { name: tool.name },
    );
  }
  api.on(
    'before_tool_call',
    async ({ toolName, params, toolCallId = '' }, context) => {
      const tool = CLUSTER_TOOLS.find(({ name }) => name === toolName);
      if (tool === undefined) return undefined;
      try {
        const parameters = readParameters(tool, params);
        const asker = askerOfHook(context);
        const wish = tool.wish(parameters, asker);
        if (wish === null) return undefined;
        const call = { asker, id: toolCallId, wish, content: tool.content?.(parameters) };
        return await approvals.judge(hub.as(asker), call, tool, context.abortSignal);
      } catch (error) {
        // The tool meets the same hub with the same words: what is wrong is said there, once.
        if (error instanceof FederationError) return undefined;
        throw error;
      }
    },
    { matcher: [CLUSTER_TOOLS[0].name, ...CLUSTER_TOOLS.slice(1).map(({ name }) => name)] },
  );
  api.registerCommand(federationCommand(hub));
  registerButtons(api);
  registerMethods(api, hub);
  api.registerService(hubNews(hub));
  api.registerProvider(federationProvider(api));
  registerModelRoute(api, modelsKeyFile);
}

// oxlint-disable-next-line import/no-default-export -- that is how OpenClaw finds a plugin
export default {
  id: 'openclaw-federation',
  name: 'OpenClaw Federation',
  description: 'Runs commands, reads and writes files and takes screenshots on the machines of the federation',
  register,
};
