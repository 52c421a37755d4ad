import type { AskedServer } from '#src/adapters/models/ask-models.ts';
import type { SharedServer, SharedUpstream } from '#src/core/models/share.ts';

export interface ReachParts {
  /** What a request to that server proves itself by: its key. Throws SETTINGS_INVALID. */
  readonly keyHeaders: (server: SharedServer) => Promise<Readonly<Record<string, string>>>;
  /** The route of the plugin in this node's OpenClaw gateway, which asks its providers with their keys. */
  readonly openclaw: () => Promise<AskedServer>;
}

/**
 * Where the requests of an upstream go. `source: openclaw` is one more server that speaks OpenAI's language: the plugin
 * answers under a path of the gateway, on loopback, for whoever shows the secret that it shares with this daemon.
 */
export function reachUpstreams({ keyHeaders, openclaw }: ReachParts) {
  return async (shared: SharedUpstream): Promise<AskedServer> => {
    if ('source' in shared) return openclaw();
    return { api: shared.api, baseUrl: shared.baseUrl, headers: await keyHeaders(shared) };
  };
}
