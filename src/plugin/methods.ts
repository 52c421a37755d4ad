import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { errorBody } from '#src/core/errors.ts';
import { OPERATOR } from '#src/plugin/asker.ts';
import type { PluginHub } from '#src/plugin/hub.ts';
import { credentialsOf } from '#src/plugin/models/credentials.ts';
import { listOf } from '#src/plugin/models/list.ts';
import { providersIn } from '#src/plugin/models/providers.ts';
import { askPeers } from '#src/plugin/peers.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

/** The federation for whoever speaks the gateway’s own protocol. */
export function registerMethods(api: OpenClawPluginApi, hub: PluginHub): void {
  const answer = (name: string, ask: (hub: HubApi) => Promise<unknown>) =>
    api.registerGatewayMethod(
      name,
      async ({ respond }) => {
        try {
          respond(true, await ask(hub.as(OPERATOR)));
        } catch (error) {
          const { code, message, hint } = errorBody(error);
          respond(false, undefined, { code: 'UNAVAILABLE', message, details: { code, hint } });
        }
      },
      { scope: 'operator.read' },
    );
  answer('federation.status', (asked) => asked.ask<Status>('GET', '/status'));
  answer('federation.peers', async (asked) => ({ peers: await askPeers(asked) }));
  answer('federation.models', () => listOf(providersIn(api.runtime.config.current()), credentialsOf(api)));
}
