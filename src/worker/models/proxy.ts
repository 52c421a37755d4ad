import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Log } from '#src/adapters/log.ts';
import type { Send } from '#src/core/models/sending.ts';
import { FederationError } from '#src/core/errors.ts';
import { apiOf, endpointOf, isModelUrl, isPlainEndpoint, modelIdIn } from '#src/core/models/endpoint.ts';
import { FirstByteLate, refusalOf } from '#src/core/models/error.ts';
import { requestHeaders, responseHeaders } from '#src/core/models/headers.ts';
import { refuseEndless } from '#src/core/models/refusal.ts';
import { MODELS_KEY_FILE } from '#src/core/models/share.ts';
import { createStoredAnswers, makesStored, storedId } from '#src/core/models/stored-answers.ts';
import { wayOf } from '#src/core/models/way.ts';
import { answerJson, refuse } from '#src/link/models/answer.ts';
import type { BodyReader, ModelBody } from '#src/link/models/body.ts';
import { createDoor } from '#src/link/models/door.ts';
import { MODEL_HEADERS } from '#src/protocol/models.ts';
import type { Carriage } from '#src/link/models/carriage.ts';
import { carryAnswer } from '#src/link/models/carriage.ts';
import { closeLoopback, listenOnLoopback } from '#src/worker/loopback.ts';
import type { HubModels } from '#src/worker/models/hub-models.ts';
import type { OwnModel } from '#src/worker/models/own-models.ts';
import { ownModel } from '#src/worker/models/own-models.ts';
import { sendingTo } from '#src/worker/models/own-upstream.ts';
import type { Shares } from '#src/worker/models/share.ts';

export interface LocalModelsOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Of this node, which programs here prove themselves by; null: none is wanted. */
  readonly key: string | null;
  readonly node: { readonly id: () => string; readonly name: string };
  readonly shares: Shares;
  readonly hub: HubModels;
  readonly bodies: BodyReader;
  readonly send: Send;
  /** Whether this node serves nothing now: a lockdown. */
  readonly isShut: () => boolean;
  readonly log: Log;
}

/** The port by which programs of this machine use the models of all. */
export interface LocalModels {
  readonly port: number;
  close(): Promise<void>;
}

/** More than programs of one machine have; each costs some 25 kB. */
const MAX_CONNECTIONS = 4096;
/** Of an answer, in which it says what it is called. */
const HEAD_BYTES = 2048;
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * Listens on loopback. Throws PORT_IN_USE.
 *
 *     GET /v1/models, /v1/models/{id}   this node's own models, and those of the hub while it is there
 *     ANY /v1/…                         a model of this node's own: straight to its server; else by the hub
 */
export async function startModelProxy(options: LocalModelsOptions): Promise<LocalModels> {
  const { key, node, shares, hub, bodies, send, isShut, log } = options;
  const door = createDoor(key, MODELS_KEY_FILE);
  const stored = createStoredAnswers();
  const server = createServer({ noDelay: true, highWaterMark: 64 * 1024 }, (request, response) => {
    void answer(request, response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = 10_000;
  server.requestTimeout = 0;
  server.keepAliveTimeout = 75_000;
  server.on('clientError', (_, socket) => socket.destroy());
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy());
    const error = new FederationError('NOT_FOUND', 'WebSockets are not carried to models');
    const { body } = refusalOf(apiOf(endpointOf(request.url ?? '')), error);
    const head = `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
    // Beyond all time limits of the server now: a client that never closes its end would keep it for ever.
    socket.end(`HTTP/1.1 501 Not Implemented\r\n${head}\r\n\r\n${body.toString('utf8')}`, () => socket.destroy());
  });
  const port = await listenOnLoopback(server, {
    port: options.port,
    purpose: 'programs that use models',
    hint: 'set models.port to a free one, or leave it out',
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const cameAt = performance.now();
    const endpoint = endpointOf(request.url ?? '');
    try {
      door.check(request, port);
      if (isReading(request) && (await list(request, response, endpoint))) return;
      if (!isModelUrl(request.url ?? '') || !isPlainEndpoint(endpoint) || !METHODS.has(request.method ?? '')) {
        const path = JSON.stringify(endpoint.slice(0, 200));
        throw new FederationError('NOT_FOUND', `there is no ${request.method} ${path}`);
      }
      const body = await bodies.read(request, '');
      try {
        await serve(request, response, endpoint, body, cameAt);
      } finally {
        bodies.release(body);
      }
    } catch (error) {
      if (!(error instanceof FederationError)) log.error('a model request failed', { problem: String(error) });
      refuse(request, response, refusalOf(apiOf(endpoint), error));
    }
  }

  async function list(request: IncomingMessage, response: ServerResponse, endpoint: string): Promise<boolean> {
    const id = modelIdIn(endpoint);
    if (id === null && endpoint !== '/v1/models') return false;
    const models = await hub.list(shares.offered(), node.name);
    const found = models.data.find((model) => model.id === id);
    if (id !== null && found === undefined) {
      throw new FederationError('MODEL_NOT_FOUND', `there is no model ${JSON.stringify(id)}`);
    }
    answerJson(request, response, found ?? models);
    return true;
  }

  function serve(
    request: IncomingMessage,
    response: ServerResponse,
    endpoint: string,
    body: ModelBody,
    cameAt: number,
  ): Promise<void> {
    if (body.facts.isAmbiguous) throw new FederationError('USAGE', 'it can’t be told which model the request means');
    const pin = textOf(request, MODEL_HEADERS.node) ?? stored.placeOf('', endpoint);
    const own = ownModel(shares, { name: node.name, id: node.id() }, { endpoint, model: body.facts.model, pin });
    if (own === null) return carryAnswer(response, hub.carriage(request, body));
    if (isShut()) throw new FederationError('LOCKED_DOWN', 'this node is locked down');
    return carryAnswer(response, {
      ...ownCarriage(request, body, own, cameAt),
      ...(makesStored(request.method ?? '', endpoint) ? { seen: remembering(own.upstream.name) } : {}),
    });
  }

  /** Where an answer was made that its client may ask for again: its first part names it. */
  function remembering(upstream: string): (chunk: Buffer) => void {
    let isFirst = true;
    return (chunk) => {
      const id = isFirst ? storedId(chunk.toString('latin1', 0, HEAD_BYTES)) : null;
      isFirst = false;
      if (id !== null) stored.made('', id, `${node.id()}/${upstream}`);
    };
  }

  function ownCarriage(request: IncomingMessage, body: ModelBody, own: OwnModel, cameAt: number): Carriage {
    const { upstream, offered } = own;
    const { hops, via } = wayOf(textOf(request, MODEL_HEADERS.hops), textOf(request, MODEL_HEADERS.via));
    refuseEndless(hops);
    if (via.includes(node.id())) {
      throw new FederationError('LOOP_DETECTED', 'the request came by this node already', {
        hint: 'an upstream leads back to the federation: manage-federation models list',
      });
    }
    const sentAt = performance.now();
    return {
      send,
      body,
      model: offered?.name ?? null,
      sending: (parts) =>
        sendingTo(upstream, {
          method: request.method ?? 'GET',
          url: request.url ?? '',
          headers: requestHeaders(request.rawHeaders),
          ...parts,
          way: { hops: hops + 1, via: [...via, node.id()] },
        }),
      headers(raw) {
        const passed = responseHeaders(raw, false);
        passed.push(MODEL_HEADERS.node, node.name);
        if (offered !== null) passed.push(MODEL_HEADERS.model, offered.id);
        passed.push(MODEL_HEADERS.attempts, '1', 'server-timing', `federation;dur=${(sentAt - cameAt).toFixed(2)}`);
        return passed;
      },
      failed({ kind, problem }) {
        log.warn('a model server failed', { upstream: upstream.name, failure: kind, problem });
        return kind === 'first-byte'
          ? new FirstByteLate(`the model server ${upstream.name} did not answer in time`)
          : new FederationError('UPSTREAM_FAILED', `the model server ${upstream.name} does not answer`);
      },
    };
  }

  return { port, close: () => closeLoopback(server) };
}

function isReading({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function textOf({ headers }: IncomingMessage, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
