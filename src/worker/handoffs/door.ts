import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer, request } from 'node:http';
import { chmod, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Log } from '#src/adapters/log.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import { errorBody, FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { HubSession } from '#src/worker/hub-address.ts';

export interface HandoffDoorOptions {
  /** Path of its unix socket, in a folder that nobody but this user can enter. */
  readonly path: string;
  readonly hub: HubAddress;
  readonly session: () => HubSession | null;
  /** Whether an agent of this node works on the handoff now. */
  readonly isWorking: (id: string) => boolean;
  readonly log: Log;
}

/** Longest request: what the hub takes itself. */
const MAX_BYTES = 16 << 20;
const PATH = /^\/(?:api\/v1\/)?handoffs(\/[0-9A-Z]{26}(?:\/events(?:\?after=\d{1,15})?)?)?$/;

/**
 * A door for the plugin of this node's own gateway, by which an agent hands on a part of what it works on:
 *
 *     POST   /handoffs              HandoffCreate with `parent`, which has to run here at this moment
 *     GET    /handoffs/{id}         as the hub answers; so are the others
 *     GET    /handoffs/{id}/events
 *     DELETE /handoffs/{id}
 *
 * The hub judges once more, and knows by itself which node asks. Resolves with what closes it; throws what the system says.
 */
export async function openHandoffDoor(options: HandoffDoorOptions): Promise<() => Promise<void>> {
  const server = createServer((incoming, answer) => {
    answer.on('error', () => undefined);
    serve(incoming, answer, options).catch((error: unknown) => refuse(answer, error));
  });
  await rm(options.path, { force: true });
  server.listen(options.path);
  await once(server, 'listening');
  await chmod(options.path, 0o600);
  server.on('error', (error) => options.log.warn('the door for handoffs failed', { problem: error.message }));
  return () => close(server);
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function serve(
  incoming: IncomingMessage,
  answer: ServerResponse,
  { hub, session, isWorking }: HandoffDoorOptions,
): Promise<void> {
  const { method = 'GET', url = '' } = incoming;
  const rest = PATH.exec(url)?.[1];
  const isCreation = method === 'POST' && rest === undefined && PATH.test(url);
  if (!isCreation && (rest === undefined || !['GET', 'DELETE'].includes(method))) {
    throw new FederationError('NOT_FOUND', 'there is no such thing at this door');
  }
  const body = isCreation ? await bodyOf(incoming) : null;
  if (body !== null) demandParent(body, isWorking);
  const now = session();
  if (now === null) {
    throw new FederationError('HUB_UNREACHABLE', 'this node has no link to the hub', {
      hint: 'manage-federation status',
    });
  }
  const gone = new AbortController();
  answer.once('close', () => gone.abort());
  const asking = request({
    host: now.address,
    port: hub.port,
    path: `/api/v1/node/handoffs${rest ?? ''}`,
    method,
    headers: {
      host: hubAddressText(hub),
      authorization: `Bearer ${now.credential}`,
      ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
    },
    agent: false,
    signal: AbortSignal.any([gone.signal, now.lost]),
  });
  asking.on('error', () => undefined);
  asking.end(body ?? undefined);
  const [said] = (await once(asking, 'response').catch((cause: unknown) => {
    throw new FederationError('HUB_UNREACHABLE', 'the hub does not answer', { cause });
  })) as [IncomingMessage];
  const type = said.headers['content-type'];
  answer.writeHead(said.statusCode ?? 502, type === undefined ? {} : { 'content-type': type });
  await pipeline(said, answer).catch(() => answer.destroy());
}

/** Throws where the handoff, of which this is to be a part, is none of this node's, or over. */
function demandParent(body: Buffer, isWorking: (id: string) => boolean): void {
  let parent: unknown;
  try {
    ({ parent } = JSON.parse(body.toString('utf8')) as { parent?: unknown });
  } catch (cause) {
    throw new FederationError('USAGE', 'the request is no JSON', { cause });
  }
  if (typeof parent === 'string' && isWorking(parent)) return;
  throw new FederationError('FORBIDDEN', 'no agent of this node works on that handoff now', {
    hint: 'a part can be handed on only while the whole is worked on',
  });
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BYTES) {
      throw new FederationError('PAYLOAD_TOO_LARGE', 'the request is too long', {
        hint: 'make the task or its files smaller',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const STATUS: Readonly<Partial<Record<ErrorBody['code'], number>>> = {
  USAGE: 400,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  PAYLOAD_TOO_LARGE: 413,
  HUB_UNREACHABLE: 503,
};

function refuse(answer: ServerResponse, error: unknown): void {
  if (answer.headersSent || answer.destroyed) return void answer.destroy();
  const body = errorBody(error);
  answer.writeHead(STATUS[body.code] ?? 500, { 'content-type': 'application/json', connection: 'close' });
  answer.end(JSON.stringify(body));
}
