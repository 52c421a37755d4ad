import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { createSender } from '#src/adapters/models/upstream.ts';
import { FederationError } from '#src/core/errors.ts';
import { apiOf, endpointOf, isPlainEndpoint } from '#src/core/models/endpoint.ts';
import { refusalOf } from '#src/core/models/error.ts';
import { answerJson, refuse } from '#src/link/models/answer.ts';
import type { ModelBody } from '#src/link/models/body.ts';
import { createBodyReader } from '#src/link/models/body.ts';
import { carry } from '#src/plugin/models/carry.ts';
import { checkCaller } from '#src/plugin/models/caller.ts';
import { workerKey } from '#src/plugin/models/key-file.ts';
import type { Credentials } from '#src/plugin/models/credentials.ts';
import { credentialsOf } from '#src/plugin/models/credentials.ts';
import { listOf } from '#src/plugin/models/list.ts';
import { providersIn } from '#src/plugin/models/providers.ts';
import { OPENCLAW_MODELS_PATH } from '#src/protocol/models.ts';

/**
 * The models that this node’s OpenClaw has configured, for the worker daemon of this node, which shares them: by a route
 * of the gateway that is for loopback and that daemon alone. No key of a provider leaves this process.
 *
 *     GET  /federation/models/v1/models   what is shared, and what is not and why
 *     POST /federation/models/v1/…        to the provider that the model begins with, as `openrouter/qwen/qwen3`
 */
export function registerModelRoute(api: OpenClawPluginApi, keyFile: string | undefined): void {
  const sender = createSender();
  const bodies = createBodyReader();
  const credentials = credentialsOf(api);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = (request.url ?? '').slice(OPENCLAW_MODELS_PATH.length - '/v1'.length);
    const endpoint = endpointOf(url);
    try {
      checkCaller(request, await workerKey(keyFile));
      if (!isPlainEndpoint(endpoint)) throw new FederationError('NOT_FOUND', 'there is no such endpoint');
      if (request.method === 'GET' && endpoint === '/v1/models') {
        answerJson(request, response, await listOf(providersIn(api.runtime.config.current()), credentials));
        return true;
      }
      if (request.method !== 'POST') throw new FederationError('NOT_FOUND', `there is no ${request.method} there`);
      const body = await bodies.read(request, '');
      try {
        const way = await wayOf(body, endpoint, api, credentials);
        await carry(request, response, { send: sender.send, url, body, way });
      } finally {
        bodies.release(body);
      }
    } catch (error) {
      refuse(request, response, refusalOf(apiOf(endpoint), error));
    }
    return true;
  }

  // Its `/v1/…` and nothing beside it.
  api.registerHttpRoute({ path: OPENCLAW_MODELS_PATH, auth: 'plugin', match: 'prefix', handler: answer });
}

/** Model names begin with their provider’s; what follows the first slash is the provider’s own word. */
async function wayOf({ facts }: ModelBody, endpoint: string, api: OpenClawPluginApi, credentials: Credentials) {
  if (facts.isAmbiguous) throw new FederationError('USAGE', 'it can’t be told which model the request means');
  const [, id, model] = /^([^/]+)\/(.+)$/s.exec(facts.model ?? '') ?? [];
  const { shared, notShared } = providersIn(api.runtime.config.current());
  const provider = shared.find((one) => one.id === id);
  if (id === undefined || model === undefined || provider === undefined) {
    const reason = notShared.find((one) => one.id === id)?.reason ?? 'is not configured';
    throw new FederationError('MODEL_NOT_FOUND', id === undefined ? 'name a model: PROVIDER/MODEL' : `${id} ${reason}`);
  }
  if (apiOf(endpoint) !== provider.api) {
    throw new FederationError('MODEL_NOT_FOUND', `${id} answers no ${endpoint}`, { hint: 'ask in its own language' });
  }
  const own = provider.models.find((one) => one.id === model)?.headers;
  const headers = { ...provider.headers, ...own, ...(await credentials.headers(provider)) };
  return { provider: id, baseUrl: provider.baseUrl, headers, model };
}
