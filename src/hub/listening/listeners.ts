import { chmod, rm } from 'node:fs/promises';
import type { IncomingMessage, Server } from 'node:http';
import { createServer } from 'node:http';
import { createConnection } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { FederationError } from '#src/core/errors.ts';
import { apiOf, isModelUrl } from '#src/core/models/endpoint.ts';
import { refusalOf } from '#src/core/models/error.ts';
import { hurryBody } from '#src/hub/api/body.ts';
import type { Listener } from '#src/hub/api/principal.ts';
import { limitConnections } from '#src/hub/listening/connection-limit.ts';
import type { ModelProxy } from '#src/hub/models/proxy.ts';
import { ASKER_HEADER } from '#src/protocol/asker.ts';
import { turnAway } from '#src/link/carry.ts';
import { refuse } from '#src/link/models/answer.ts';

/** What answers the requests of a listener. */
export interface Answering {
  /** The hub's API. */
  readonly fetch: (request: Request, env: object) => Response | Promise<Response>;
  /** All below `/v1`, on Node's own objects: what it carries must cost little more than a pipe. */
  readonly models: ModelProxy;
}

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface Listening {
  readonly server: Server;
  close(): Promise<void>;
}

/** A unix socket that only its owner opens. */
export interface OwnedSocket {
  readonly path: string;
  readonly owner: string;
  /** Of the listening socket, where the service manager made it; null: the hub makes it, and for its own user alone. */
  readonly descriptor: number | null;
}

/** Listens for `listener` alone. A socket that the hub makes takes the place of one that nobody answers on. */
export async function listenOnSocket(
  { path, descriptor }: OwnedSocket,
  listener: Listener,
  answering: Answering,
): Promise<Listening> {
  const server = serve(listener, answering);
  // Input of a process may take hours to come.
  server.requestTimeout = 0;
  if (descriptor === null) await makeSocket(server, path);
  else await listening(server, () => server.listen({ fd: descriptor }), path);
  return { server, close: () => closed(server) };
}

async function makeSocket(server: Server, path: string): Promise<void> {
  if (await answers(path)) {
    throw new FederationError('ALREADY_RUNNING', `another hub answers on ${path}`, { hint: 'stop it first' });
  }
  await rm(path, { force: true });
  // The folder is the owner's alone already; the mode says so of the socket too.
  await listening(server, () => server.listen(path), path);
  await chmod(path, 0o600);
}

export interface TcpOptions {
  readonly address: string;
  readonly port: number;
  /** Host headers that this hub answers to now, without their port. */
  readonly names: () => readonly string[];
  readonly upgrade: Upgrade;
}

/** Time for the head of a request. */
const HEADERS_MS = 10_000;

/**
 * Listens where nodes reach it. A browser always sends Origin, and a Host that is not ours comes of a name that was made
 * to point here: requests and upgrades with either are refused here, and looked at nowhere else.
 */
export async function listenOnTcp(
  { address, port, names, upgrade }: TcpOptions,
  answering: Answering,
): Promise<Listening & { port: number }> {
  const server = serve({ kind: 'tcp' }, answering, (request) => refusal(request, names()));
  limitConnections(server);
  server.headersTimeout = HEADERS_MS;
  // Node's own would end the input of a process, too.
  server.requestTimeout = 0;
  server.prependListener('request', (request: IncomingMessage) => hurryBody(request));
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (refusal(request, names()) === null) upgrade(request, socket, head);
    else refuseUpgrade(socket, 403);
  });
  await listening(server, () => server.listen(port, address), `${address}:${port}`);
  return { server, port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

/** Answers an upgrade that nobody takes, and closes. */
export function refuseUpgrade(socket: Duplex, status: 403 | 404): void {
  turnAway(socket, status === 403 ? '403 Forbidden' : '404 Not Found');
}

/** Whether a Host header names one of `names`, whatever its port. */
function isHostOf(header: string | undefined, names: readonly string[]): boolean {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+))(?::\d{1,5})?$/.exec(header ?? '');
  const host = (match?.[1] ?? match?.[2])?.toLowerCase();
  return host !== undefined && names.some((name) => name.toLowerCase() === host);
}

function refusal(request: IncomingMessage, names: readonly string[]): FederationError | null {
  if (!isHostOf(request.headers.host, names)) return new FederationError('FORBIDDEN', 'this hub has another name');
  if (request.headers.origin !== undefined) return new FederationError('FORBIDDEN', 'this hub is not for web pages');
  return null;
}

function serve(
  listener: Listener,
  { fetch, models }: Answering,
  refused: (request: IncomingMessage) => FederationError | null = () => null,
): Server {
  const handle = getRequestListener((request, env) => fetch(request, { ...env, listener }), {
    overrideGlobalObjects: false,
  });
  const server = createServer({ noDelay: true }, (request, response) => {
    const error = refused(request);
    if (error === null && isModelUrl(request.url ?? '') && !isOfChat(request, listener)) {
      return models(request, response, listener);
    }
    if (error === null) return void handle(request, response);
    if (isModelUrl(request.url ?? '')) return refuse(request, response, refusalOf(apiOf(request.url ?? ''), error));
    response.writeHead(403, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify({ code: error.code, message: error.message }));
  });
  server.on('clientError', (_, socket) => socket.destroy());
  return server;
}

/** Whoever asks in a chat has to do with the API alone, which also refuses those who only say that they do. */
function isOfChat({ headers }: IncomingMessage, listener: Listener): boolean {
  return listener.kind === 'plugin' || headers[ASKER_HEADER] !== undefined;
}

async function listening(server: Server, listen: () => void, where: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('listening', resolve);
  server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(where, cause)));
  listen();
  await promise;
}

function listenError(where: string, cause: NodeJS.ErrnoException): FederationError {
  if (cause.code === 'EADDRINUSE') {
    return new FederationError('PORT_IN_USE', `${where} is in use`, {
      hint: 'stop the other program, or choose another port: --port (0 takes a free one)',
      cause,
    });
  }
  return new FederationError('START_FAILED', `can’t listen on ${where} (${cause.code})`, {
    hint: 'check the address and the permissions',
    cause,
  });
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

async function closed(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}
