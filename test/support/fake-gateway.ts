import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

interface Request {
  readonly id: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export interface FakeGateway {
  readonly port: number;
  readonly url: string;
  readonly requests: readonly IncomingMessage[];
  /** Every connection so far, open or not. */
  readonly sockets: readonly WebSocket[];
  /** Every frame so far, as text. */
  readonly frames: readonly string[];
  /** What it says to each method: at first `hello-ok` to connect, and empty lists. */
  readonly answers: Map<string, (params: Readonly<Record<string, unknown>>) => object>;
  /** Tells everybody who is connected of an event. */
  announce(event: string): void;
  close(): Promise<void>;
}

/** Speaks as much of the gateway's protocol as a test tells it. A port given is taken again after a close. */
export async function fakeGateway(port = 0): Promise<FakeGateway> {
  const server = createServer((_request, response) => response.writeHead(404).end());
  const acceptor = new WebSocketServer({ server, maxPayload: 26_214_400 });
  const requests: IncomingMessage[] = [];
  const sockets: WebSocket[] = [];
  const frames: string[] = [];
  const answers = new Map<string, (params: Readonly<Record<string, unknown>>) => object>([
    ['connect', () => ({ ok: true, payload: { type: 'hello-ok', server: { version: '2026.9.6' } } })],
    ['node.list', () => ({ ok: true, payload: { nodes: [] } })],
    ['device.pair.list', () => ({ ok: true, payload: { pending: [], paired: [] } })],
    ['node.pair.list', () => ({ ok: true, payload: { pending: [], paired: [] } })],
  ]);
  acceptor.on('connection', (socket, request) => {
    requests.push(request);
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      frames.push(data.toString());
      const frame = parse(data);
      const answer = frame === null ? undefined : answers.get(frame.method);
      if (frame !== null && answer !== undefined) {
        socket.send(JSON.stringify({ type: 'res', id: frame.id, ...answer(frame.params) }));
      }
    });
    socket.send(JSON.stringify({ type: 'event', event: 'connect.challenge', payload: { nonce: 'n', ts: 1 } }));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const taken = (server.address() as AddressInfo).port;
  return {
    port: taken,
    url: `ws://127.0.0.1:${taken}`,
    requests,
    sockets,
    frames,
    answers,
    announce(event) {
      for (const socket of sockets) socket.send(JSON.stringify({ type: 'event', event, payload: {} }));
    },
    async close() {
      for (const socket of sockets) socket.terminate();
      acceptor.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function parse(data: Buffer): Request | null {
  try {
    return JSON.parse(data.toString()) as Request;
  } catch {
    return null;
  }
}
