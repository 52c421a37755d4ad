import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { eventually } from './eventually.ts';
import { answerAsModel, sendJson } from './model-answers.ts';

/** A request as the model server saw it. */
export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** The body, where it is JSON; else undefined. */
  readonly json: unknown;
  /** Whether the other side went away before the answer was whole. */
  readonly aborted: boolean;
}

/** Answers one request; `response` is Node's own, so that it can break off, stall or speak HTML. */
export type ModelHandler = (request: SeenRequest, response: ServerResponse) => void | Promise<void>;

/**
 * A model server that does what a test tells it, on a free port of loopback. Without orders it speaks OpenAI's
 * chat/completions, completions, responses, embeddings and models, and Anthropic's messages and count_tokens, in one
 * piece or as a stream, and says back what it was asked. `[[…]]` in the last message of a request is an order, see
 * `answerAsModel`.
 */
export interface ModelServer extends AsyncDisposable {
  readonly port: number;
  /** Ends with /v1. */
  readonly baseUrl: string;
  /** All that was asked, in its order. */
  readonly requests: readonly SeenRequest[];
  /** Those that asked for a completion of any kind, and not which models there are. */
  readonly asked: readonly SeenRequest[];
  /** What GET /v1/models lists, as it is to be sent. */
  models: readonly object[];
  /** A bearer or an x-api-key that is demanded; null: none. */
  key: string | null;
  /** By path without its query; takes the place of what it would answer. */
  readonly handlers: Map<string, ModelHandler>;
  /** Answers the next completion that nobody else takes, once for each call. */
  next(handler: ModelHandler): void;
  /** Answers whatever nobody else does. */
  otherwise: ModelHandler;
  /** Resolves when so many requests were aborted by the other side. */
  untilAborted(count: number): Promise<void>;
  /** Breaks every connection off, and refuses new ones until `listen`. */
  die(): Promise<void>;
  /** Listens on the same port again. */
  listen(): Promise<void>;
}

export interface ModelServerOptions {
  readonly models?: readonly object[];
  readonly key?: string;
  /** A free one where it is not given. */
  readonly port?: number;
}

export async function modelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const requests: (SeenRequest & { aborted: boolean })[] = [];
  const nexts: ModelHandler[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => void serve(request, response));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  let port = options.port ?? 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    const chunks: Buffer[] = [];
    let whole = false;
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
      whole = true;
    } catch {
      // It went away in the middle of its question: noted below.
    }
    const body = Buffer.concat(chunks);
    const seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body,
      json: parsed(body.toString('utf8')),
      aborted: !whole,
    };
    requests.push(seen);
    if (!whole) return;
    response.once('close', () => {
      seen.aborted = !response.writableFinished;
    });
    await answer(seen, response);
  }

  async function answer(request: SeenRequest, response: ServerResponse): Promise<void> {
    const path = request.path.split('?')[0] ?? '';
    const handler = self.handlers.get(path);
    if (handler !== undefined) return handler(request, response);
    if (!isAllowed(request, self.key)) return refuse(response);
    if (request.method === 'GET' && path === '/v1/models') {
      return sendJson(response, 200, { object: 'list', data: self.models });
    }
    await (nexts.shift() ?? self.otherwise)(request, response);
  }

  async function listen(): Promise<void> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  }

  async function die(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  }

  const self: ModelServer = {
    get port() {
      return port;
    },
    get baseUrl() {
      return `http://127.0.0.1:${port}/v1`;
    },
    requests,
    get asked() {
      return requests.filter(({ method, path }) => method === 'POST' && path.startsWith('/v1/'));
    },
    models: options.models ?? [{ id: 'echo', object: 'model', created: 1, owned_by: 'test' }],
    key: options.key ?? null,
    handlers: new Map(),
    next: (handler) => void nexts.push(handler),
    otherwise: answerAsModel,
    untilAborted: async (count) =>
      void (await eventually(`${count} aborted requests`, () => requests.filter((one) => one.aborted).length >= count)),
    die,
    listen,
    [Symbol.asyncDispose]: die,
  };
  await listen();
  return self;
}

function isAllowed({ headers }: SeenRequest, key: string | null): boolean {
  return key === null || headers.authorization === `Bearer ${key}` || headers['x-api-key'] === key;
}

function refuse(response: ServerResponse): void {
  sendJson(response, 401, { error: { message: 'Incorrect API key provided', type: 'invalid_request_error' } });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
