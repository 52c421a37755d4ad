import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { affinityKeys } from '#src/core/models/affinity.ts';
import { apiOf, asksModel, endpointOf, isPlainEndpoint, modelIdIn, needsModel } from '#src/core/models/endpoint.ts';
import { refusalOf } from '#src/core/models/error.ts';
import { checkHeaderCount, requestHeaders, withHeaders } from '#src/core/models/headers.ts';
import type { Consumer } from '#src/core/models/key.ts';
import { guessInput } from '#src/core/models/usage-guess.ts';
import { consumerId } from '#src/core/models/usage-row.ts';
import { wayOf } from '#src/core/models/way.ts';
import type { StoredAnswers } from '#src/core/models/stored-answers.ts';
import { createStoredAnswers, storedId } from '#src/core/models/stored-answers.ts';
import { withoutNames } from '#src/core/models/refusal.ts';
import type { Finders, Listener } from '#src/hub/api/principal.ts';
import type { ModelKeys } from '#src/hub/models/keys.ts';
import { relay } from '#src/hub/models/relay.ts';
import type { ModelAsk, Router } from '#src/hub/models/router.ts';
import type { UsageBook } from '#src/hub/models/usage.ts';
import { answerJson, refuse } from '#src/link/models/answer.ts';
import type { BodyReader, ModelBody } from '#src/link/models/body.ts';
import { operatorText } from '#src/core/operator.ts';
import { MODEL_HEADERS, modelEntry, modelList } from '#src/protocol/models.ts';

export interface ModelProxyOptions extends Pick<Finders, 'findSession' | 'findOperator'> {
  readonly router: Router;
  readonly keys: ModelKeys;
  readonly usage: UsageBook;
  readonly bodies: BodyReader;
  readonly log: Log;
}

/**
 * Answers a request below `/v1/`, whose Host and Origin are judged already. It never throws.
 *
 *     GET /v1/models, /v1/models/{id}   what the one who asks may use
 *     ANY /v1/…                         the answer of the node that has the model, or that a header pins
 */
export type ModelProxy = (request: IncomingMessage, response: ServerResponse, listener: Listener) => void;

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

export function createModelProxy(options: ModelProxyOptions): ModelProxy {
  const { router, keys, usage, bodies, log } = options;
  const stored = createStoredAnswers();

  async function answer(request: IncomingMessage, response: ServerResponse, listener: Listener): Promise<void> {
    const cameAt = performance.now();
    const endpoint = endpointOf(request.url ?? '');
    try {
      const consumer = consumerOf(options, request, listener);
      if (list(request, response, endpoint, consumer)) return;
      checkPath(request.method ?? '', endpoint);
      // Before any of the body is read, which costs more than to send it.
      keys.takeTurn(consumer);
      const body = await bodies.read(request, consumerId(consumer));
      try {
        await serve(request, response, { endpoint, consumer, body, cameAt });
      } finally {
        bodies.release(body);
      }
    } catch (error) {
      if (!(error instanceof FederationError)) log.error('a model request failed', { problem: String(error) });
      refuse(request, response, refusalOf(apiOf(endpoint), error));
    }
  }

  function list(request: IncomingMessage, response: ServerResponse, endpoint: string, consumer: Consumer): boolean {
    if (request.method !== 'GET' && request.method !== 'HEAD') return false;
    if (endpoint === '/v1/models') {
      answerJson(request, response, modelList(router.models(consumer)));
      return true;
    }
    const id = modelIdIn(endpoint);
    if (id === null) return false;
    const found = router.models(consumer).find((model) => model.id === id);
    if (found === undefined) throw new FederationError('MODEL_NOT_FOUND', `there is no model ${JSON.stringify(id)}`);
    answerJson(request, response, modelEntry(found));
    return true;
  }

  async function serve(request: IncomingMessage, response: ServerResponse, came: Came): Promise<void> {
    const { endpoint, consumer, body, cameAt } = came;
    const ask = askOf(request, came, stored);
    checkHeaderCount(request.rawHeaders);
    checkModel(request.method ?? '', ask, body);
    // What else an upstream has is its account's, whatever model the body names: a key for all is needed.
    keys.admit(
      consumer,
      asksModel(request.method ?? '', endpoint) ? (ask.model ?? '') : '',
      guessInput(endpoint, ask.bytes),
    );
    const headers = requestHeaders(request.rawHeaders);
    const relayed = await relay(
      router,
      {
        ...{ ask, body, cameAt },
        method: request.method ?? 'GET',
        url: request.url ?? '',
        // What an answer took can't be read where it is compressed.
        headers: keys.countsTokens(consumer) ? withHeaders(headers, { 'accept-encoding': 'identity' }) : headers,
      },
      response,
    );
    const { error, head, upstream, ...told } = relayed;
    const id = head === '' ? null : storedId(head);
    if (id !== null && told.node !== null) stored.made(consumerId(consumer), id, `${told.node}/${upstream}`);
    const refusal = error === null ? null : refusalOf(apiOf(endpoint), error);
    usage.record({
      ...{ consumer, endpoint, ...told },
      status: refusal?.status ?? told.status,
      totalMs: performance.now() - cameAt,
    });
    if (error === null) return;
    throw consumer.kind === 'key' && error instanceof FederationError ? withoutNames(error) : error;
  }

  return (request, response, listener) => void answer(request, response, listener);
}

interface Came {
  readonly endpoint: string;
  readonly consumer: Consumer;
  readonly body: ModelBody;
  readonly cameAt: number;
}

function consumerOf(
  { findSession, findOperator, keys }: ModelProxyOptions,
  { headers, socket }: IncomingMessage,
  listener: Listener,
): Consumer {
  if (listener.kind === 'operator') return { kind: 'operator', name: listener.name };
  const secret = secretOf(headers.authorization, headers['x-api-key']);
  if (secret !== null) {
    const address = socket.remoteAddress ?? '';
    const session = findSession(secret, address);
    if (session !== null) return { kind: 'node', id: session.member.id, name: session.member.name };
    const key = keys.authenticate(secret);
    if (key !== null) return key;
    const operator = findOperator(secret, address, socket);
    if (operator !== null) return { kind: 'operator', name: operatorText(operator) };
  }
  throw new FederationError('UNAUTHENTICATED', 'this needs a key of the federation', {
    hint: 'manage-federation models key create',
  });
}

/** As OpenAI’s and as Anthropic’s clients send a key. */
function secretOf(authorization: string | undefined, apiKey: string | string[] | undefined): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return bearer ?? (typeof apiKey === 'string' && apiKey !== '' ? apiKey : null);
}

function checkPath(method: string, endpoint: string): void {
  if (!isPlainEndpoint(endpoint) || !METHODS.has(method)) {
    throw new FederationError('NOT_FOUND', `there is no ${method} ${JSON.stringify(endpoint.slice(0, 200))}`);
  }
}

function askOf({ headers }: IncomingMessage, { endpoint, consumer, body }: Came, stored: StoredAnswers): ModelAsk {
  const header = (name: string): string | null => {
    const value = headers[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const { model, user, promptCacheKey, prompt } = body.facts;
  return {
    endpoint,
    model,
    node: header(MODEL_HEADERS.node) ?? stored.placeOf(consumerId(consumer), endpoint),
    bytes: body.length ?? body.bytes.length,
    affinity: affinityKeys({
      consumer: consumer.kind === 'operator' ? 'operator' : consumer.id,
      session: header(MODEL_HEADERS.session) ?? header('session-id'),
      promptCacheKey,
      user,
      prompt: prompt === null ? null : body.bytes.subarray(prompt.start, prompt.end),
    }),
    consumer,
    ...wayOf(header(MODEL_HEADERS.hops), header(MODEL_HEADERS.via)),
  };
}

/**
 * Throws USAGE for a body of which it can’t be told what model it means, unless a node is pinned: the upstream says what
 * it makes of it then. A key that is good for some models alone is not let in with it.
 */
function checkModel(method: string, { model, node, endpoint }: ModelAsk, { facts, length }: ModelBody): void {
  if (facts.isAmbiguous) throw new FederationError('USAGE', 'it can’t be told which model the request means');
  if (model !== null || method === 'GET' || method === 'HEAD') return;
  if (node !== null) return;
  if (length === 0 && !needsModel(endpoint)) return;
  throw new FederationError(
    'USAGE',
    facts.form === 'other' ? 'the request is no JSON object' : 'the request names no model',
    { hint: 'say which one as "model"; GET /v1/models lists them' },
  );
}
