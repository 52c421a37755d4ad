import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket, Server as TcpServer } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import type { NodeFacts } from '#src/core/node.ts';
import type { AcceptOptions, Acceptor, Link } from '#src/link/accept.ts';
import { createAcceptor } from '#src/link/accept.ts';
import type { DialEvent, DialOptions } from '#src/link/dial.ts';
import { keepLink } from '#src/link/dial.ts';
import type { KeyPair } from '#src/link/key.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';

export const CREDENTIAL = 'c'.repeat(43);
export const SECRET = 's'.repeat(43);
export const QUICK = { minMs: 10, maxMs: 20, patientMs: 60_000 };

export function newKey(): KeyPair {
  return keyPair(createPrivateKey());
}

export function facts(name = 'w1'): NodeFacts {
  const own = { version: '1.0.0', platform: 'linux', arch: 'x64', openclaw: null };
  return { name, role: 'worker', ...own, offers: ['exec'], commands: [] };
}

/** Resolves when `condition` holds; rejects, naming what never was, after `withinMs`. */
export async function until(what: string, condition: () => boolean, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface TestHub {
  readonly key: KeyPair;
  readonly port: number;
  readonly acceptor: Acceptor;
  readonly server: Server;
  readonly links: Link[];
  readonly faults: unknown[];
  /** The first link, as soon as there is one. */
  link(): Promise<Link>;
  close(): Promise<void>;
}

/** A hub that admits every node at once, unless told otherwise. */
export async function startHub(options: Partial<AcceptOptions> = {}): Promise<TestHub> {
  const key = options.key ?? newKey();
  const links: Link[] = [];
  const faults: unknown[] = [];
  let generation = 0;
  const acceptor = createAcceptor({
    epoch: 7,
    heartbeatMs: 5000,
    admit: () => Promise.resolve({ link: ++generation, credential: CREDENTIAL }),
    onFault: (error) => void faults.push(error),
    ...options,
    key,
    onLink(link) {
      links.push(link);
      options.onLink?.(link);
    },
  });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => acceptor.upgrade(request, socket, head));
  const port = await listen(server);
  return {
    key,
    port,
    acceptor,
    server,
    links,
    faults,
    async link() {
      await until('a link', () => links.length > 0);
      return links[0]!;
    },
    async close() {
      await acceptor.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function listen(server: TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** For `onTestFinished`, registered first and so run last: no socket and no listener of a test may outlive it. */
export async function expectNoSockets(): Promise<void> {
  await until('all sockets closed', () => !process.getActiveResourcesInfo().some((kind) => kind.startsWith('TCP')));
}

export interface TestNode {
  readonly key: KeyPair;
  readonly events: DialEvent[];
  readonly streams: ServerHttp2Stream[];
  saw(type: DialEvent['type']): boolean;
  stop(): Promise<void>;
}

export interface TestNodeOptions extends Partial<Omit<DialOptions, 'key'>> {
  readonly key?: KeyPair;
}

/** A node that answers every stream with `ok`, unless told otherwise. */
export function startNode(
  hub: { readonly port: number; readonly key: KeyPair },
  { key = newKey(), ...options }: TestNodeOptions = {},
): TestNode {
  const stopping = new AbortController();
  const events: DialEvent[] = [];
  const streams: ServerHttp2Stream[] = [];
  const kept = keepLink({
    hub: { host: '127.0.0.1', port: hub.port },
    pin: () => hub.key.id,
    facts: () => facts(),
    secret: () => null,
    onWelcome: () => Promise.resolve(),
    backOff: QUICK,
    ...options,
    key: () => key,
    signal: stopping.signal,
    onStream(stream, headers, raw) {
      streams.push(stream);
      if (options.onStream !== undefined) return options.onStream(stream, headers, raw);
      stream.on('error', () => undefined);
      if (stream.destroyed) return;
      stream.respond({ ':status': 200 });
      stream.end('ok');
    },
    onEvent(event) {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return {
    key,
    events,
    streams,
    saw: (type) => events.some((event) => event.type === type),
    async stop() {
      stopping.abort();
      await kept;
    },
  };
}

export interface TestProxy {
  readonly port: number;
  /** The two ends of each connection, in the order in which they came: the node's, then the hub's. */
  readonly pairs: (readonly [Socket, Socket])[];
  close(): Promise<void>;
}

type Wire = (chunk: Buffer, node: Socket, hub: Socket) => void;

export interface ProxyOptions {
  readonly fromHub?: Wire;
  readonly fromNode?: Wire;
}

/** A wire that a test can cut, hold or change. It is one hop, so that the end of either side is the other's, too. */
export async function startProxy(
  target: number,
  {
    fromHub = (chunk, node) => void node.write(chunk),
    fromNode = (chunk, _node, hub) => void hub.write(chunk),
  }: ProxyOptions = {},
): Promise<TestProxy> {
  const pairs: (readonly [Socket, Socket])[] = [];
  const server = createTcpServer((node) => {
    const hub = connect(target, '127.0.0.1');
    pairs.push([node, hub]);
    node.on('error', () => hub.destroy()).on('close', () => hub.destroy());
    hub.on('error', () => node.destroy()).on('close', () => node.destroy());
    node.on('data', (chunk) => fromNode(chunk, node, hub));
    hub.on('data', (chunk) => fromHub(chunk, node, hub));
  });
  const port = await listen(server);
  return {
    port,
    pairs,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of pairs.flat()) socket.destroy();
      await closed;
    },
  };
}

export interface RawPeer {
  readonly socket: Socket;
  send(line: unknown): void;
  /** Status of the HTTP answer; 0 when the other side closed first. Only the body of it stays in `rest`. */
  status(): Promise<number>;
  /** The next line as JSON; null when the other side closed first. */
  line(): Promise<Record<string, unknown> | null>;
  /** Everything that has come and was not taken as a line. */
  rest(): string;
}

/** One side of the handshake, played by hand. */
export function rawPeer(socket: Socket): RawPeer {
  let text = '';
  let over = false;
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined).on('close', () => (over = true));
  return {
    socket,
    send: (line) => void socket.write(`${JSON.stringify(line)}\n`),
    async status() {
      await until('an answer', () => text.includes('\r\n\r\n') || over);
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
      text = text.slice(text.indexOf('\r\n\r\n') + 4);
      return status;
    },
    async line() {
      await until('a line', () => text.includes('\n') || over);
      const end = text.indexOf('\n');
      if (end === -1) return null;
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return JSON.parse(line) as Record<string, unknown>;
    },
    rest: () => text,
  };
}

const UPGRADE = { Host: 'hub.test:19000', Connection: 'Upgrade', Upgrade: 'openclaw-federation' };

/** Sends an upgrade request; a header of `undefined` is left out. */
export async function knockByHand(
  port: number,
  headers: Record<string, string | undefined> = {},
  tail = '',
  localAddress = '127.0.0.1',
): Promise<RawPeer> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  const peer = rawPeer(socket);
  const sent = Object.entries({ ...UPGRADE, ...headers }).filter(([, value]) => value !== undefined);
  socket.write(`GET /link HTTP/1.1\r\n${sent.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${tail}`);
  await once(socket, 'connect');
  return peer;
}
