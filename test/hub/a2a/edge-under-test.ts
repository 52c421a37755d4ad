import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import type { Client } from '@a2a-js/sdk/client';
import { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory } from '@a2a-js/sdk/client';
import type { Role } from '#src/core/node.ts';
import { a2aRoutes } from '#src/hub/a2a/edge.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { AgentView } from '#src/protocol/handoffs.ts';
import { aMember, SILENT_LOG } from '../../support/member.ts';
import type { MemoryDesk } from './memory-desk.ts';
import { memoryDesk } from './memory-desk.ts';

export const KEY_ID = 'a'.repeat(64);

export interface EdgeOptions {
  readonly exposed?: readonly string[];
  /** Of the key `secret`. */
  readonly agents?: readonly string[];
}

export interface EdgeUnderTest extends AsyncDisposable {
  readonly desk: MemoryDesk;
  readonly url: string;
  /** The SDK's own. */
  client(agent?: string, fetchImpl?: typeof fetch): Promise<Client>;
  /** A request as no client of the SDK sends it. */
  post(agent: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

/** Programs at the door, and handoffs in memory behind it. */
export async function openEdge({ exposed = ['*/*'], agents = ['*/*'] }: EdgeOptions = {}): Promise<EdgeUnderTest> {
  const desk = memoryDesk();
  desk.offered.push(offered('box', 'coder'), offered('box', 'writer'), offered('laptop', 'main'));
  const stopping = new AbortController();
  const routes = a2aRoutes({
    desk,
    exposed,
    keys: {
      authenticate: (secret) =>
        secret.startsWith('ocfm_')
          ? { kind: 'key', id: secret === 'ocfm_secret' ? KEY_ID : 'b'.repeat(64), name: 'planner' }
          : null,
      agents: ({ kind }) => (kind === 'key' ? agents : []),
    },
    members: () => [member('box', 'worker'), member('laptop', 'hybrid')],
    version: '1.2.3',
    log: SILENT_LOG,
    signal: stopping.signal,
  });
  const app = new Hono<ApiEnvironment>().route('/a2a', routes);
  const handle = getRequestListener((request, env) => app.fetch(request, { ...env, listener: { kind: 'tcp' } }), {
    overrideGlobalObjects: false,
  });
  const server = createServer((request, response) => void handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    desk,
    url,
    client: (agent, fetchImpl) => clientOf(url, agent, fetchImpl),
    post: (agent, body, headers = {}) =>
      fetch(`${url}/a2a/${agent}`, {
        method: 'POST',
        headers: {
          ...{ authorization: 'Bearer ocfm_secret', 'content-type': 'application/json', 'a2a-version': '1.0' },
          ...headers,
        },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A client that reads the card without a key and asks with one. */
export function clientOf(url: string, agent = 'box/coder', fetchImpl = keyed('ocfm_secret')): Promise<Client> {
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory({ fetchImpl })],
    cardResolver: new DefaultAgentCardResolver(),
  });
  return factory.createFromUrl(`${url}/a2a/${agent}/.well-known/agent-card.json`, '');
}

export function keyed(secret: string): typeof fetch {
  return (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set('authorization', `Bearer ${secret}`);
    return fetch(input, { ...init, headers });
  };
}

function member(name: string, role: Role) {
  return aMember({ name, role });
}

function offered(node: string, id: string): AgentView {
  return {
    ...{ node, nodeId: node, id, description: `${id} of ${node}`, tags: ['coding', 'rust'] },
    ...{ concurrency: 1, running: 0, waiting: 0 },
  };
}
