import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AgentCard } from '@a2a-js/sdk';
import { AgentCard as AgentCardJson, formatSSEEvent, SSE_HEADERS } from '@a2a-js/sdk';
import type { AgentExecutor } from '@a2a-js/sdk/server';
import {
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server';

export interface ForeignServerOptions {
  readonly executor: AgentExecutor;
  readonly streaming?: boolean;
  /** Where its card says that it is asked; itself otherwise. */
  readonly elsewhere?: string;
}

/** A server of the SDK itself, with an agent that a script works for. */
export interface ScriptedServer extends AsyncDisposable {
  readonly card: string;
  /** Methods that were asked, in their order. */
  readonly asked: readonly string[];
  readonly authorizations: ReadonlySet<string | undefined>;
  /** What is done with a request in the place of answering it. */
  mishap: (method: string, response: ServerResponse) => boolean;
  /** Every connection is lost; what runs goes on. */
  cut(): void;
}

export async function foreignServer({
  executor,
  streaming = true,
  elsewhere,
}: ForeignServerOptions): Promise<ScriptedServer> {
  const asked: string[] = [];
  const authorizations = new Set<string | undefined>();
  const sockets = new Set<Socket>();
  let origin = '';

  const handler = new JsonRpcTransportHandler(
    new DefaultRequestHandler(cardOf('http://127.0.0.1/rpc', streaming), new InMemoryTaskStore(), executor),
  );

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    authorizations.add(request.headers.authorization);
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(AgentCardJson.toJSON(cardOf(elsewhere ?? `${origin}/rpc`, streaming))));
      return;
    }
    const body = JSON.parse(await text(request)) as Record<string, unknown>;
    asked.push(String(body['method']));
    if (server.mishap(String(body['method']), response)) return;
    const answer = await handler.handle(body, new ServerCallContext({ requestedVersion: '1.0' }));
    if (!(Symbol.asyncIterator in answer)) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      return;
    }
    try {
      for await (const told of answer) {
        if (!response.headersSent) response.writeHead(200, SSE_HEADERS);
        response.write(formatSSEEvent(told));
      }
    } catch (error) {
      const refusal = { jsonrpc: '2.0', id: body['id'], error: JsonRpcTransportHandler.mapToJSONRPCError(error) };
      response.writeHead(200, { 'content-type': 'application/json' }).write(JSON.stringify(refusal));
    }
    response.end();
  }

  const http = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const server: ScriptedServer = {
    card: `${origin}/card.json`,
    asked,
    authorizations,
    mishap: () => false,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      http.close();
      server.cut();
      await once(http, 'close');
    },
  };
  return server;
}

function cardOf(url: string, streaming: boolean): AgentCard {
  return {
    ...{ name: 'scripted', description: 'does what a test says', version: '1', provider: undefined },
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' }],
    capabilities: { streaming, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    ...{ securitySchemes: {}, securityRequirements: [], signatures: [] },
    ...{
      defaultInputModes: ['text/plain', 'application/octet-stream'],
      defaultOutputModes: ['text/plain'],
      skills: [],
    },
  };
}
