import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AgentCard } from '@a2a-js/sdk';
import { AgentCard as AgentCardJson, formatSSEEvent, SSE_HEADERS } from '@a2a-js/sdk';
import type { AgentExecutor } from '@a2a-js/sdk/server';
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import {
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server';

export interface ForeignServerOptions {
  readonly executor: AgentExecutor;
  readonly streaming?: boolean;
  /** Of A2A, in its card and in all that it says; 1.0 where it is not given. */
  readonly version?: '1.0' | '0.3';
  /** Where its card says that it is asked; itself otherwise. */
  readonly elsewhere?: string;
}

/** A server of the SDK itself, with an agent that a script works for. */
export interface ScriptedServer extends AsyncDisposable {
  readonly card: string;
  /** Methods that were asked, in their order, by their names of 1.0. */
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
  version = '1.0',
  elsewhere,
}: ForeignServerOptions): Promise<ScriptedServer> {
  const asked: string[] = [];
  const authorizations = new Set<string | undefined>();
  const sockets = new Set<Socket>();
  let origin = '';

  const requests = new DefaultRequestHandler(
    cardOf('http://127.0.0.1/rpc', streaming, version),
    new InMemoryTaskStore(),
    executor,
  );
  const handler =
    version === '0.3' ? new LegacyJsonRpcTransportHandler(requests) : new JsonRpcTransportHandler(requests);
  const refusalOf =
    version === '0.3'
      ? LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError
      : JsonRpcTransportHandler.mapToJSONRPCError;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    authorizations.add(request.headers.authorization);
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/json' });
      const url = elsewhere ?? `${origin}/rpc`;
      const card = version === '0.3' ? formerCardOf(url, streaming) : AgentCardJson.toJSON(cardOf(url, streaming));
      response.end(JSON.stringify(card));
      return;
    }
    const body = JSON.parse(await text(request)) as Record<string, unknown>;
    const method = String(body['method']);
    const name = version === '0.3' ? (FORMER_NAMES[method] ?? method) : method;
    asked.push(name);
    if (server.mishap(name, response)) return;
    const answer = await handler.handle(body, new ServerCallContext({ requestedVersion: version }));
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
      const refusal = { jsonrpc: '2.0', id: body['id'], error: refusalOf(error) };
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

const FORMER_NAMES: Readonly<Record<string, string>> = {
  ...{ 'message/send': 'SendMessage', 'message/stream': 'SendStreamingMessage', 'tasks/get': 'GetTask' },
  ...{ 'tasks/cancel': 'CancelTask', 'tasks/resubscribe': 'SubscribeToTask' },
};

/** As servers of A2A 0.3 write it. */
function formerCardOf(url: string, streaming: boolean): object {
  return {
    ...{ name: 'scripted', description: 'does what a test says', version: '1', url, protocolVersion: '0.3.0' },
    ...{ preferredTransport: 'JSONRPC', capabilities: { streaming, pushNotifications: false }, skills: [] },
    ...{ defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'] },
  };
}

function cardOf(url: string, streaming: boolean, protocolVersion = '1.0'): AgentCard {
  return {
    ...{ name: 'scripted', description: 'does what a test says', version: '1', provider: undefined },
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', tenant: '', protocolVersion }],
    capabilities: { streaming, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    ...{ securitySchemes: {}, securityRequirements: [], signatures: [] },
    ...{
      defaultInputModes: ['text/plain', 'application/octet-stream'],
      defaultOutputModes: ['text/plain'],
      skills: [],
    },
  };
}
