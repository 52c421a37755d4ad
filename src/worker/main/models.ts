import { randomBytes } from 'node:crypto';
import type { Home } from '#src/adapters/home.ts';
import { askForModels } from '#src/adapters/models/ask-models.ts';
import { createSender } from '#src/adapters/models/upstream.ts';
import { keyHeaders, readUpstreamKey } from '#src/adapters/models/upstream-key.ts';
import { followYamlFile } from '#src/adapters/yaml-file.ts';
import { MODELS_FILE, MODELS_KEY_FILE, OPENCLAW_MODELS_KEY_FILE } from '#src/core/models/share.ts';
import type { Settings } from '#src/core/settings.ts';
import { OPENCLAW_MODELS_PATH } from '#src/protocol/models.ts';
import type { NodeModels, NodeModelsParts } from '#src/worker/models/models.ts';
import { openNodeModels } from '#src/worker/models/models.ts';
import { reachUpstreams } from '#src/worker/models/reach.ts';

type ModelsWiring = Pick<NodeModelsParts, 'node' | 'hub' | 'session' | 'links' | 'desk' | 'report' | 'log' | 'signal'>;

/** What this node shares of models and uses of them; null where it is to have nothing to do with them. */
export async function openModels(home: Home, { models }: Settings, wiring: ModelsWiring): Promise<NodeModels | null> {
  if (!models.enabled) return null;
  const makeKey = (): string => randomBytes(32).toString('base64url');
  const key = await home.secret(MODELS_KEY_FILE, makeKey);
  return openNodeModels({
    ...wiring,
    port: models.port ?? null,
    key: models.requireKey ? key.trim() : null,
    files: (signal) => followYamlFile(home, MODELS_FILE, signal),
    ask: askForModels,
    reach: reachUpstreams({
      keyHeaders: async (server) => keyHeaders(server.api, await readUpstreamKey(server, home.path)),
      async openclaw() {
        const secret = await home.secret(OPENCLAW_MODELS_KEY_FILE, makeKey);
        const headers = keyHeaders('openai', secret.trim());
        return { api: 'openai', baseUrl: `${models.openclaw}${OPENCLAW_MODELS_PATH}`, headers };
      },
    }),
    sender: createSender(),
  });
}
