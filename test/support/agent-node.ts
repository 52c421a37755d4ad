import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { text as textOf } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import type { ErrorCode } from '#src/core/errors.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { HandoffDeed } from '#src/core/handoff/event.ts';
import type { HandoffOrder, MessageOrder } from '#src/protocol/handoffs.ts';
import type { BareNode, BareNodeOptions } from './bare-node.ts';
import { bareNode } from './bare-node.ts';
import type { Federation } from './federation.ts';
import type { Answer } from './http.ts';
import { ask } from './http.ts';

/** A handoff as the scripted node has it. */
export interface Taken {
  readonly order: HandoffOrder;
  /** As text, so that a test may write what no worker would. */
  readonly lines: string[];
  isOver: boolean;
  isCancelled: boolean;
}

/** What is answered in the place of what a worker would say. `silence`: nothing, ever. `cut`: the stream is reset. */
export type Mishap = { readonly code: ErrorCode } | { readonly text: string } | 'silence' | 'cut';

/** A node that speaks as a worker does about handoffs, and runs none: the test says what happens. */
export interface AgentNode {
  readonly node: BareNode;
  /** Method and path of each request, in their order. */
  readonly asked: string[];
  readonly taken: Map<string, Taken>;
  readonly messages: MessageOrder[];
  /** What becomes of a request; undefined: what a worker does. */
  mishap: (what: string) => Mishap | undefined;
  /** What it does at once with what it takes. */
  onTaken: (taken: Taken) => void;
  say(taken: Taken, deed: HandoffDeed): void;
  start(taken: Taken): void;
  end(taken: Taken, text: string): void;
  /** Bytes of files, by name. */
  readonly files: Map<string, Buffer>;
  offer(agents?: readonly Partial<OfferedAgent>[]): Promise<Answer>;
  /** As the daemon of the node asks the hub. */
  ask(method: string, path: string, body?: object): Promise<Answer>;
}

export function agentNode(federation: Federation, name: string, options: BareNodeOptions): AgentNode {
  const streams = new Map<string, Set<ServerHttp2Stream>>();
  const node = bareNode(federation.hub, {
    name,
    ...options,
    onStream: (stream, headers) => void answer(stream, headers).catch(() => stream.close()),
  });
  onTestFinished(() => node.stop());

  function json(stream: ServerHttp2Stream, status: number, body: unknown): void {
    if (stream.destroyed) return;
    stream.respond({ ':status': status, 'content-type': 'application/json' });
    stream.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  function standing({ order, lines, isOver }: Taken): object {
    const state = isOver ? 'completed' : lines.length > 0 ? 'started' : 'waiting';
    return { id: order.id, attempt: order.attempt, state, position: state === 'waiting' ? 1 : null, seq: lines.length };
  }

  async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const { ':method': method = '', ':path': path = '' } = headers;
    const body = await textOf(stream);
    const what = `${method} ${path}`;
    own.asked.push(what);
    const mishap = own.mishap(what);
    if (mishap === 'silence') return;
    if (mishap === 'cut') return stream.close(2);
    if (mishap !== undefined && 'code' in mishap) {
      return json(stream, 400, { code: mishap.code, message: 'as the test says' });
    }
    if (mishap !== undefined) return json(stream, 200, mishap.text);
    if (what === 'POST /lockdown' || what === 'DELETE /lockdown' || what === 'POST /revoke') {
      return json(stream, 200, {});
    }
    if (what === 'POST /messages') {
      const order = JSON.parse(body) as MessageOrder;
      const replayed = own.messages.some(({ id }) => id === order.id);
      if (!replayed) own.messages.push(order);
      return json(stream, 200, { agent: order.agent ?? 'main', replayed });
    }
    if (what === 'POST /handoffs') {
      const order = JSON.parse(body) as HandoffOrder;
      const known = own.taken.get(order.id);
      const taken = known ?? { order, lines: [], isOver: false, isCancelled: false };
      own.taken.set(order.id, taken);
      json(stream, 200, standing(taken));
      if (known === undefined) own.onTaken(taken);
      return;
    }
    const [, id = '', rest = ''] = /^\/handoffs\/([0-9A-Z]{26})(.*)$/.exec(path) ?? [];
    const taken = own.taken.get(id);
    if (taken === undefined) return json(stream, 404, { code: 'HANDOFF_NOT_FOUND', message: 'no such handoff' });
    const file = own.files.get(decodeURIComponent(/^\/artefacts\/(.*)$/.exec(rest)?.[1] ?? ''));
    if (file !== undefined) {
      stream.respond({ ':status': 200 });
      stream.end(file);
      return;
    }
    if (method === 'DELETE') taken.isCancelled = true;
    if (!rest.startsWith('/events')) return json(stream, method === 'DELETE' ? 202 : 200, standing(taken));
    const after = Number(/after=(\d+)/.exec(rest)?.[1] ?? 0);
    stream.respond({ ':status': 200 });
    for (const line of taken.lines.slice(after)) stream.write(`${line}\n`);
    if (taken.isOver) return void stream.end();
    const all = streams.get(id) ?? new Set();
    streams.set(id, all.add(stream));
    stream.on('close', () => all.delete(stream));
  }

  function write({ order }: Taken, line: string): void {
    for (const stream of streams.get(order.id) ?? []) stream.write(`${line}\n`);
  }

  const own: AgentNode = {
    ...{ node, asked: [], taken: new Map<string, Taken>(), messages: [], files: new Map<string, Buffer>() },
    mishap: () => undefined,
    onTaken: () => undefined,
    say(taken, deed) {
      const line = JSON.stringify({ seq: taken.lines.length + 1, ...deed });
      taken.lines.push(line);
      write(taken, line);
    },
    start(taken) {
      own.say(taken, { type: 'started', attempt: taken.order.attempt, agent: taken.order.agent });
    },
    end(taken, text) {
      taken.isOver = true;
      own.say(taken, { type: 'ended', outcome: 'completed', text, problem: null, usage: null });
      for (const stream of streams.get(taken.order.id) ?? []) stream.end();
    },
    offer: (agents = [{}]) =>
      own.ask('PUT', '/node/agents', {
        agents: agents.map((agent) => ({ id: 'main', description: '', tags: [], concurrency: 1, ...agent })),
      }),
    async ask(method, path, body) {
      const { credential } = await node.welcome();
      const text = body === undefined ? '' : JSON.stringify(body);
      const length = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
      const headers = { authorization: `Bearer ${credential}`, ...(body === undefined ? {} : length) };
      const { port } = federation.hub;
      return ask({ host: '127.0.0.1', port, method, path: `/api/v1${path}`, headers }, text);
    },
  };
  return own;
}

/** Joins by a token, is there, and has offered its agents. */
export async function offeringNode(
  federation: Federation,
  name: string,
  agents?: readonly Partial<OfferedAgent>[],
  options: BareNodeOptions = {},
): Promise<AgentNode> {
  const node = agentNode(federation, name, { token: await federation.token({}), ...options });
  await federation.untilOnline(name);
  const { status, text } = await node.offer(agents);
  if (status !== 200) throw new Error(text);
  return node;
}
