import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { Hono } from 'hono';
import { AgentCard, Extensions } from '@a2a-js/sdk';
import { JsonRpcTransportHandler, ServerCallContext, validateVersion } from '@a2a-js/sdk/server';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import type { PlacedAgent } from '#src/core/handoff/reach.ts';
import { reaches } from '#src/core/handoff/reach.ts';
import type { Member } from '#src/core/member.ts';
import type { Consumer } from '#src/core/models/key.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import { agentCard } from '#src/hub/a2a/card.ts';
import { createConversations } from '#src/hub/a2a/conversations.ts';
import { sendJson, sendStream } from '#src/hub/a2a/answer.ts';
import type { Envelope } from '#src/hub/a2a/params.ts';
import { checkParams, envelopeSchema } from '#src/hub/a2a/params.ts';
import { malformed, notPushed } from '#src/hub/a2a/refusal.ts';
import { requestHandler } from '#src/hub/a2a/requests.ts';
import { answerError } from '#src/hub/api/answers.ts';
import { limitBody } from '#src/hub/api/body.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { HandoffDesk } from '#src/hub/handoffs/desk.ts';

/**
 * Agents as other programs reach them by A2A 1.0, below `/a2a`:
 *
 *     GET  /a2a/{node}/{agent}/.well-known/agent-card.json   for everybody who reaches the hub
 *     POST /a2a/{node}/{agent}                               JSON-RPC, with a key that is for the agent
 *     GET  /a2a/{node}/{agent}/tasks/{id}/artefacts/{name}   a file of an answer, with the same key
 */
export interface A2aOptions {
  readonly desk: HandoffDesk;
  readonly keys: {
    authenticate(secret: string): Consumer | null;
    agents(consumer: Consumer): readonly string[];
  };
  /** Which agents there are at all for other programs: `hub.a2a.agents`. */
  readonly exposed: readonly string[];
  readonly members: () => Iterable<Member>;
  readonly version: string;
  readonly log: Log;
  /** Aborted when the hub stops. */
  readonly signal: AbortSignal;
}

/** As the rest of the hub’s API takes. */
const MAX_BODY_BYTES = 8 << 20;

type A2aContext = Context<ApiEnvironment>;

export function a2aRoutes(options: A2aOptions): Hono<ApiEnvironment> {
  const { desk, version, log, signal } = options;
  const conversations = createConversations(desk);
  const app = new Hono<ApiEnvironment>();
  app.onError(answerError(log));
  app.use('*', limitBody(MAX_BODY_BYTES));
  app.use('*', async (context, next) => {
    if (context.env.listener.kind === 'plugin') throw new FederationError('FORBIDDEN', 'a chat has other ways');
    await next();
  });

  const card = (context: A2aContext, { node, agent }: PlacedAgent) => {
    const known = desk.agents().find((offered) => offered.node === node && offered.id === agent);
    return { known, card: agentCard({ node, agent: known ?? bare(agent), url: urlOf(context), version }) };
  };

  app.get('/:node/:agent/.well-known/agent-card.json', (context) => {
    const placed = exposedAgent(options, context);
    const { known, card: shown } = card(context, placed);
    if (known === undefined) throw notThere();
    return context.json(AgentCard.toJSON(shown) as object);
  });

  app.get('/:node/:agent/tasks/:id/artefacts/:name', async (context) => {
    const { placed, asker } = admitted(options, context);
    const { id, name } = context.req.param();
    const view = await desk.get(id, asker);
    if (view.asker !== askerText(asker) || view.target !== targetOf(placed)) throw notThere();
    const over = AbortSignal.any([signal, context.req.raw.signal]);
    const { artefact, bytes } = await desk.artefact(id, name, asker, over);
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(artefact.size) };
    return new Response(ReadableStream.from(bytes), { headers });
  });

  app.post('/:node/:agent', async (context) => {
    const { placed, asker } = admitted(options, context);
    const { outgoing } = context.env;
    const gone = new AbortController();
    outgoing.once('close', () => gone.abort());
    const envelope = await envelopeOf(context);
    if (envelope === null) return sendJson(context, errorTo(null, malformed('the request is no JSON-RPC request')));
    const shown = card(context, placed).card;
    const call = new ServerCallContext({
      requestedExtensions: Extensions.parseServiceParameter(context.req.header('a2a-extensions')),
      ...versionOf(context),
    });
    try {
      validateVersion(call.requestedVersion, shown, 'JSONRPC');
    } catch (error) {
      return sendJson(context, errorTo(envelope.id, error));
    }
    const checked = checkParams(envelope.method, envelope.params);
    if (!checked.ok) {
      return sendJson(context, errorTo(envelope.id, checked.isPush ? notPushed() : malformed(checked.problem)));
    }
    const handler = requestHandler({
      ...{ desk, conversations, asker, target: targetOf(placed), card: shown, after: afterOf(context) },
      filesUrl: (id) => `${urlOf(context)}/tasks/${id}/artefacts`,
      signal: AbortSignal.any([signal, gone.signal]),
    });
    const transport = new JsonRpcTransportHandler(handler);
    const answer = await transport.handle({ ...envelope, params: checked.params }, call);
    if (call.requestedExtensions?.includes(A2A_EXTENSION) === true) context.header('a2a-extensions', A2A_EXTENSION);
    if (!(Symbol.asyncIterator in answer)) return sendJson(context, answer);
    await sendStream(context, answer, (error) => errorTo(envelope.id, error), AbortSignal.any([signal, gone.signal]));
    return RESPONSE_ALREADY_SENT;
  });

  return app;
}

/** Throws NOT_FOUND for what is not exposed, as for what is not there. */
function exposedAgent({ members, exposed }: A2aOptions, context: A2aContext): PlacedAgent {
  const { node = '', agent = '' } = context.req.param() as Readonly<Record<string, string>>;
  const member = [...members()].find(({ name, revokedAt }) => name === node && revokedAt === null);
  const placed = member === undefined ? null : { node, role: member.role, agent };
  if (placed !== null && reaches(exposed, placed)) return placed;
  throw notThere();
}

/** Throws UNAUTHENTICATED without a key that is good, NOT_FOUND where it is for other agents. */
function admitted(options: A2aOptions, context: A2aContext): { placed: PlacedAgent; asker: Asker } {
  const { keys } = options;
  const secret = /^Bearer +(\S{1,200})$/i.exec(context.req.header('authorization') ?? '')?.[1];
  const consumer = secret === undefined ? null : keys.authenticate(secret);
  if (consumer?.kind !== 'key') {
    context.header('www-authenticate', 'Bearer');
    throw new FederationError('UNAUTHENTICATED', 'this needs a key of the federation that is for agents');
  }
  const placed = exposedAgent(options, context);
  const agents = keys.agents(consumer);
  if (!reaches(agents, placed)) throw notThere();
  // No operator and no user can be named so.
  return {
    placed,
    asker: {
      ...{ kind: 'operator', name: `${consumer.name}@a2a (key ${consumer.id.slice(0, 12)})` },
      ...{ key: consumer.id, agents },
    },
  };
}

async function envelopeOf(context: A2aContext): Promise<Envelope | null> {
  const type = context.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' && type !== 'application/a2a+json') return null;
  const body: unknown = await context.req.json().catch(() => null);
  const parsed = envelopeSchema.safeParse(body);
  return parsed.success ? parsed.data : null;
}

function errorTo(id: Envelope['id'], error: unknown): object {
  return { jsonrpc: '2.0', id: id ?? null, error: JsonRpcTransportHandler.mapToJSONRPCError(error) };
}

function versionOf(context: A2aContext): { requestedVersion?: string } {
  const requestedVersion = context.req.header('a2a-version');
  return requestedVersion === undefined ? {} : { requestedVersion };
}

function afterOf(context: A2aContext): number | null {
  const last = context.req.header('last-event-id') ?? '';
  return /^\d{1,15}$/.test(last) ? Number(last) : null;
}

/** By the name that the client has for the hub, which the listener has judged. */
function urlOf(context: A2aContext): string {
  const { node = '', agent = '' } = context.req.param() as Readonly<Record<string, string>>;
  return `http://${context.req.header('host') ?? 'localhost'}/a2a/${node}/${agent}`;
}

function targetOf({ node, agent }: PlacedAgent): string {
  return `${node}/${agent}`;
}

function bare(id: string) {
  return { id, description: '', tags: [] };
}

function notThere(): FederationError {
  return new FederationError('NOT_FOUND', 'there is no such agent here, or none that this key is for');
}
