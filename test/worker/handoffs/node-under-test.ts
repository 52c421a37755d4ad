import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import type { Role } from '#src/core/node.ts';
import type { Settings } from '#src/core/settings.ts';
import type { AgentOffer, HandoffOrder, HandoffStanding, HandoffWord } from '#src/protocol/handoffs.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import type { NodeHandoffs } from '#src/worker/handoffs/open.ts';
import { scriptedGateway } from './scripted-gateway.ts';
import type { GatewayScript, ScriptedGateway } from './scripted-gateway.ts';
import { eventually } from '../../support/eventually.ts';
import { startDaemon } from '../../support/handoff-daemon.ts';

export interface NodeSetup {
  readonly settings?: Partial<Settings['handoffs']>;
  readonly role?: Role;
  /** What stands between it and its disk. */
  readonly disk?: (store: HandoffStore) => HandoffStore;
}

/** The handoffs of a worker daemon, with a scripted gateway, on a link of its own; it can be started again as after a crash. */
export interface NodeUnderTest extends AsyncDisposable {
  readonly folder: string;
  readonly gateway: ScriptedGateway;
  readonly offers: readonly AgentOffer[];
  readonly handoffs: NodeHandoffs;
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
  { settings = {}, role = 'worker', disk }: NodeSetup = {},
): Promise<NodeUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'ocf-handoffs-'));
  const gateway = await scriptedGateway(script);
  const settingsFile = join(folder, 'openclaw.json');
  await gateway.settings(settingsFile);
  const offers: AgentOffer[] = [];
  let running = await open('boot');

  async function open(bootId: string) {
    const onOffer = (offer: AgentOffer): void => void offers.push(offer);
    const daemon = await startDaemon({ folder, settingsFile, bootId, settings, role, onOffer, ...(disk && { disk }) });
    const hub = connect(`http://127.0.0.1:${daemon.port}`);
    hub.on('error', () => undefined);
    async function close(): Promise<void> {
      hub.destroy();
      await daemon.close();
    }
    return { handoffs: daemon.handoffs, hub, close };
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

export async function askNode<T>(hub: ClientHttp2Session, method: string, path: string, body?: unknown) {
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

export function followNode(hub: ClientHttp2Session, id: string, after: number): Following {
  const stream = hub.request({
    ':method': 'GET',
    ':path': `/handoffs/${id}/events?after=${after}`,
    [EPOCH_HEADER]: '5',
  });
  const events: HandoffEvent[] = [];
  const words: HandoffWord[] = [];
  const closed = Promise.withResolvers<void>();
  let rest = '';
  stream.on('close', () => closed.resolve());
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
  return { stream, events, words, over: closed.promise };
}
