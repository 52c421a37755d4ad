import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect, performServerHandshake } from 'node:http2';
import { type AddressInfo, type Socket, connect as dial, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { openHome } from '#src/adapters/home.ts';
import { createLog } from '#src/adapters/log.ts';
import { gatewayRunner } from '#src/adapters/openclaw/agent-runner.ts';
import { openHandoffStore } from '#src/adapters/store/handoff-store.ts';
import { journalFile } from '#src/adapters/store/journal-file.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { Role } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import type { AgentOffer, HandoffOrder, HandoffStanding, HandoffWord } from '#src/protocol/handoffs.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import { createConsent } from '#src/worker/consent.ts';
import { openNodeHandoffs } from '#src/worker/handoffs/open.ts';
import type { ScriptedGateway } from './scripted-gateway.ts';
import { scriptedGateway } from './scripted-gateway.ts';
import type { GatewayScript } from './scripted-gateway.ts';
import { eventually } from '../../support/eventually.ts';
import { nodeApi } from './node-api.ts';

export const NODE_ID = 'f'.repeat(64);
const DEFAULTS: Settings['handoffs'] = {
  enabled: true,
  agents: [],
  queueMax: 32,
  keepMaxBytes: 67_108_864,
  keepDays: 7,
  foreign: [],
};

export interface NodeSetup {
  readonly settings?: Partial<Settings['handoffs']>;
  readonly role?: Role;
}

/** The handoffs of a worker daemon, with a scripted gateway, on a link of its own; it can be started again as after a crash. */
export interface NodeUnderTest extends AsyncDisposable {
  readonly folder: string;
  readonly gateway: ScriptedGateway;
  readonly offers: readonly AgentOffer[];
  readonly handoffs: Awaited<ReturnType<typeof openNodeHandoffs>>;
  ask<T = HandoffStanding>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: T & ErrorBody }>;
  /** A request whose answer is read as it comes. */
  get(path: string): ClientHttp2Stream;
  /** POST /handoffs with as little as that. */
  order(order?: Partial<HandoffOrder>): Promise<{ status: number; body: HandoffStanding & ErrorBody; id: string }>;
  follow(id: string, after?: number): Following;
  /** All events to the end. */
  events(id: string, after?: number): Promise<HandoffEvent[]>;
  /** The daemon ends and is started with the same disk; `boot` for a machine that was off in between. */
  restart(boot?: string): Promise<void>;
}

export interface Following {
  readonly stream: ClientHttp2Stream;
  readonly events: readonly HandoffEvent[];
  readonly words: readonly HandoffWord[];
  readonly over: Promise<void>;
}

export async function startNode(
  script?: GatewayScript,
  { settings = {}, role = 'worker' }: NodeSetup = {},
): Promise<NodeUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'ocf-handoffs-'));
  const gateway = await scriptedGateway(script);
  const settingsFile = join(folder, 'openclaw.json');
  await gateway.settings(settingsFile);
  const offers: AgentOffer[] = [];
  let running = await open('boot');

  async function open(bootId: string) {
    const log = createLog({ level: 'error', module: 'test', write: () => undefined });
    const stopping = new AbortController();
    const home = await openHome(folder);
    const links = new EventEmitter<{ linked: [] }>();
    const session = { address: '127.0.0.1', credential: 'c', link: 1, lost: stopping.signal };
    const runner = gatewayRunner({ settingsFile, log });
    const handoffs = await openNodeHandoffs({
      store: await openHandoffStore(home.file('handoffs')),
      messages: journalFile(home.file('messages.ndjson')),
      runner,
      settings: { ...DEFAULTS, ...settings },
      consent: createConsent({ id: () => NODE_ID, role }),
      bootId,
      desk: { offerAgents: async (offer) => void offers.push(offer) },
      session: () => session,
      links,
      log,
      signal: stopping.signal,
    });
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      performServerHandshake(socket)
        .on('error', () => undefined)
        .on('stream', nodeApi(handoffs));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = dial((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    const hub = connect('http://worker', { createConnection: () => socket });
    hub.on('error', () => undefined);
    async function close(): Promise<void> {
      hub.destroy();
      for (const one of sockets) one.destroy();
      server.close();
      stopping.abort();
      await handoffs.close();
    }
    return { handoffs, hub, close };
  }

  const self: NodeUnderTest = {
    folder,
    gateway,
    offers,
    get handoffs() {
      return running.handoffs;
    },
    ask: (method, path, body) => askNode(running.hub, method, path, body),
    get: (path) => running.hub.request({ ':path': path, [EPOCH_HEADER]: '5' }),
    async order(order = {}) {
      const whole = orderOf(order);
      return { ...(await self.ask('POST', '/handoffs', whole)), id: whole.id };
    },
    follow: (id, after = 0) => followNode(running.hub, id, after),
    async events(id, after = 0) {
      const following = self.follow(id, after);
      await following.over;
      return [...following.events];
    },
    async restart(boot = 'boot') {
      await running.close();
      running = await open(boot);
    },
    async [Symbol.asyncDispose]() {
      await running.close();
      await gateway[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await eventually('the node offers its agents', () => offers.some(({ agents }) => agents.length > 0));
  return self;
}

export function orderOf(order: Partial<HandoffOrder> = {}): HandoffOrder {
  return {
    id: ulid(),
    attempt: 1,
    agent: 'main',
    asker: { kind: 'operator', name: 'ann' },
    task: 'do it',
    context: '',
    files: [],
    leftMs: null,
    idleTimeoutMs: 600_000,
    queueTimeoutMs: 600_000,
    hops: 0,
    ...order,
  };
}

async function askNode<T>(hub: ClientHttp2Session, method: string, path: string, body?: unknown) {
  const stream = hub.request(
    { ':method': method, ':path': path, [EPOCH_HEADER]: '5' },
    { endStream: body === undefined },
  );
  stream.on('error', () => undefined);
  if (body !== undefined) stream.end(JSON.stringify(body));
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(headers[':status']), body: JSON.parse(Buffer.concat(chunks).toString()) as T & ErrorBody };
}

function followNode(hub: ClientHttp2Session, id: string, after: number): Following {
  const stream = hub.request({
    ':method': 'GET',
    ':path': `/handoffs/${id}/events?after=${after}`,
    [EPOCH_HEADER]: '5',
  });
  const events: HandoffEvent[] = [];
  const words: HandoffWord[] = [];
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('error', () => undefined);
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const value = JSON.parse(line) as HandoffEvent | HandoffWord;
      if (value.type === 'word') words.push(value);
      else events.push(value);
    }
  });
  return { stream, events, words, over: once(stream, 'close').then(() => undefined) };
}
