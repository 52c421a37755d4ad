import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenClawPluginApi } from 'openclaw/plugin-sdk/plugin-entry';
import { registerModelRoute } from '#src/plugin/models/route.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

/** What OpenClaw answers a plugin that asks for a key. */
export type Auth = { readonly apiKey?: string; readonly mode: string } | 'throws';

/** An OpenClaw that has these providers, as far as the route for its worker daemon sees it. */
export interface OpenClawWithModels extends AsyncDisposable {
  readonly key: string;
  readonly keyFile: string;
  /** Base URL of the route. */
  readonly url: string;
  /** Its `models.providers`; may be changed. */
  providers: Readonly<Record<string, unknown>>;
  readonly auth: Map<string, Auth>;
  post(path: string, body: string | object, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

export async function openclawWithModels(providers: Readonly<Record<string, unknown>>): Promise<OpenClawWithModels> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-plugin-models-'));
  const keyFile = join(directory, 'openclaw-models.key');
  const key = 'k'.repeat(43);
  await writeFile(keyFile, `${key}\n`, { mode: 0o600 });
  const auth = new Map<string, Auth>();
  const self = { providers };
  const handlers: Handler[] = [];
  const api = fakeApi(
    () => self.providers,
    auth,
    (handler) => void handlers.push(handler),
  );
  registerModelRoute(api, keyFile);
  const server = createServer((request, response) => {
    response.setHeader('x-content-type-options', 'nosniff');
    void handlers[0]!(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/federation/models/v1`;
  return Object.assign(self, {
    key,
    keyFile,
    url,
    auth,
    post: (path: string, body: string | object, headers: Readonly<Record<string, string>> = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true });
    },
  });
}

/** What the plugin uses of OpenClaw for models. */
export function fakeApi(
  providers: () => Readonly<Record<string, unknown>>,
  auth: ReadonlyMap<string, Auth>,
  onRoute: (handler: Handler) => void = () => undefined,
): OpenClawPluginApi {
  const api = {
    runtime: {
      config: { current: () => ({ models: { providers: providers() } }) },
      modelAuth: {
        async resolveApiKeyForProvider({ provider }: { provider: string }) {
          const found = auth.get(provider) ?? { apiKey: `key-of-${provider}`, mode: 'api-key' };
          if (found === 'throws') throw new Error('the secret of the profile is sk-123');
          return found;
        },
      },
    },
    registerHttpRoute: ({ handler }: { handler: Handler }) => onRoute(handler),
  };
  return api as unknown as OpenClawPluginApi;
}
