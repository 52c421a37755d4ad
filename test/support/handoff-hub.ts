import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { ErrorBody } from '#src/core/errors.ts';
import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';
import type { HandoffOutcome } from '#src/core/handoff/state.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';

export const HANDOFF = '01KAFZ3V9Q0000000000000001';
export const HANDOFF_NODE = 'ab12cd34ef56'.padEnd(64, '0');

export interface HandoffRequest {
  /** Method and path behind /api/v1, with the query. */
  readonly what: string;
  readonly body: unknown;
}

/** What is done with a request before it is answered: true where nothing more is to be said. */
type Mishap = (request: HandoffRequest, response: ServerResponse) => boolean;

/**
 * A hub that knows one handoff, as its clients see it: it keeps the events, says them to whoever follows, goes away and
 * comes back.
 */
export interface HandoffHub extends AsyncDisposable {
  /** What `--home` takes. */
  readonly home: string;
  readonly socket: string;
  readonly asked: readonly HandoffRequest[];
  /** Bytes of its artefacts, by name; what the view says of them may be another thing. */
  readonly files: Map<string, Buffer>;
  /** What is answered in the place of all this, by method and path; what has `code` is a refusal. */
  readonly answers: Map<string, object>;
  mishap: Mishap;
  view(): HandoffView;
  /** Changes how it stands, and tells it. */
  stand(changed: Partial<HandoffView>): void;
  say(deed: HandoffDeed): HandoffEvent;
  end(outcome: HandoffOutcome, more?: { readonly text?: string; readonly problem?: string | null }): void;
  /** Adds a file to the answer. */
  give(name: string, content: string | Buffer): void;
  /** Breaks off what is said to those who follow. */
  breakOff(): void;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  followers(): number;
  /** What stood before the paths of all requests. */
  readonly bases: ReadonlySet<string>;
}

export async function handoffHub(): Promise<HandoffHub> {
  const home = await mkdtemp(join(tmpdir(), 'ocf-handoff-'));
  const socket = join(home, 'operator.sock');
  const asked: HandoffRequest[] = [];
  const events: HandoffEvent[] = [];
  const files = new Map<string, Buffer>();
  const answers = new Map<string, object>();
  const bases = new Set<string>();
  const following = new Set<ServerResponse>();
  let server: Server | null = null;
  let view: HandoffView | null = null;

  function opened(order: HandoffCreate): HandoffView {
    return {
      ...{ id: HANDOFF, key: order.key, state: 'waiting', target: order.target, node: null, agent: null },
      ...{ asker: 'operator', task: order.task.slice(0, 80), attempt: 1, position: null, seq: 0, cancelling: false },
      ...{ parent: null, createdAt: '2026-11-21T12:00:00.000Z', startedAt: null, endedAt: null },
      ...{ deadline: order.deadline ?? null, text: null, problem: null, usage: null, artefacts: [] },
    };
  }

  function known(): HandoffView {
    view ??= opened({ key: 'k', target: 'home', task: 'look' });
    return view;
  }

  function answer(response: ServerResponse, said: object, status = 200): void {
    const isRefusal = typeof (said as Partial<ErrorBody>).code === 'string';
    response.writeHead(isRefusal ? 400 : status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
  }

  function follow(response: ServerResponse, after: number): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: standing\ndata: ${JSON.stringify(known())}\n\n`);
    for (const event of events.slice(after)) response.write(textOf(event));
    if (isOver(known().state)) {
      response.end();
      return;
    }
    following.add(response);
    response.once('close', () => following.delete(response));
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://hub');
    bases.add(url.pathname.startsWith('/api/v1/') ? '/api/v1' : '');
    const what = `${request.method} ${url.pathname.replace('/api/v1', '')}${url.search}`;
    const seen = { what, body: request.method === 'POST' ? await json(request) : null };
    asked.push(seen);
    if (hub.mishap(seen, response)) return;
    const scripted = answers.get(what);
    const one = `/handoffs/${HANDOFF}`;
    if (scripted !== undefined) answer(response, scripted);
    else if (what === 'POST /handoffs') {
      const isNew = view === null;
      view ??= opened(seen.body as HandoffCreate);
      answer(response, view, isNew ? 201 : 200);
    } else if (what === `GET ${one}`) answer(response, known());
    else if (what === `DELETE ${one}`) {
      view = { ...known(), cancelling: true };
      answer(response, view, 202);
    } else if (what.startsWith(`GET ${one}/events`)) follow(response, Number(url.searchParams.get('after') ?? 0));
    else if (what.startsWith(`GET ${one}/artefacts/`)) {
      const bytes = files.get(decodeURIComponent(url.pathname.split('/').at(-1) ?? ''));
      if (bytes === undefined) answer(response, { code: 'PATH_NOT_FOUND', message: 'there is no such file' });
      else response.end(bytes);
    } else answer(response, { code: 'NOT_FOUND', message: `${what} is not scripted` });
  }

  const hub: HandoffHub = {
    home,
    socket,
    asked,
    files,
    answers,
    mishap: () => false,
    view: known,
    stand(changed) {
      view = { ...known(), ...changed };
      for (const response of following) response.write(`event: standing\ndata: ${JSON.stringify(view)}\n\n`);
    },
    say(deed) {
      const event: HandoffEvent = { ...deed, seq: events.length + 1 };
      events.push(event);
      view = { ...known(), seq: event.seq };
      if (deed.type === 'started') {
        const node = { id: HANDOFF_NODE, name: 'home' };
        view = { ...view, state: 'started', node, agent: deed.agent, startedAt: '2026-11-21T12:00:01.000Z' };
      }
      for (const response of following) response.write(textOf(event));
      return event;
    },
    end(outcome, { text = '', problem = null } = {}) {
      // Kept before anybody hears of it.
      const seq = events.length + 1;
      view = { ...known(), state: outcome, text, problem, endedAt: '2026-11-21T12:00:02.000Z', seq };
      hub.say({ type: 'ended', outcome, text, problem, usage: null });
      for (const response of following) response.end();
    },
    give(name, content) {
      const bytes = Buffer.from(content);
      const artefact = { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
      files.set(name, bytes);
      view = { ...known(), artefacts: [...known().artefacts, artefact] };
      hub.say({ type: 'artefact', ...artefact });
    },
    breakOff() {
      for (const response of following) response.destroy();
    },
    async goAway() {
      const closing = server;
      server = null;
      if (closing === null) return;
      closing.close();
      closing.closeAllConnections();
      await once(closing, 'close');
    },
    async comeBack() {
      server = createServer((request, response) => void serve(request, response));
      server.listen(socket);
      await once(server, 'listening');
    },
    followers: () => following.size,
    bases,
    async [Symbol.asyncDispose]() {
      await hub.goAway();
      await rm(home, { recursive: true });
    },
  };
  await hub.comeBack();
  const record = {
    pid: process.pid,
    operator: socket,
    plugin: socket,
    address: '127.0.0.1',
    port: 1,
    hubId: 'a'.repeat(64),
  };
  await writeFile(join(home, 'hub.json'), JSON.stringify(record));
  return hub;
}

function textOf(event: HandoffEvent): string {
  return `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`;
}
