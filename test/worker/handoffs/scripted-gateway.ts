import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

/** A run that the gateway was asked for, as a script sees it. */
export interface GatewayRun {
  readonly key: string;
  readonly session: string;
  readonly agent: string;
  readonly message: string;
  /** Resolves when its end is asked for. */
  readonly aborted: Promise<void>;
  /** Says more of one item of the answer. */
  say(delta: string, item?: string): void;
  tool(call: string, phase: 'start' | 'update' | 'result', data: object): void;
  /** Any event of the session. */
  tell(stream: string, data: unknown): void;
}

export interface GatewayEnd {
  readonly status?: string;
  readonly stopReason?: string;
  readonly text?: string;
  readonly media?: string;
  /** The gateway refuses instead, after it had accepted. */
  readonly refusal?: string;
}

/** What the agent does. Without an answer the run ends with all that it said. */
export type GatewayScript = (run: GatewayRun) => Promise<GatewayEnd | void> | GatewayEnd | void;

interface Session {
  status: 'running' | 'done' | 'killed' | 'failed';
  abortedLastRun: boolean;
  text: string;
}

/** A gateway that shows what a real one does at every turn: it forgets keys with its life, and keeps its sessions. */
export interface ScriptedGateway extends AsyncDisposable {
  readonly port: number;
  /** All that was begun, also what was begun twice. */
  readonly runs: readonly GatewayRun[];
  readonly messages: readonly { readonly session: string; readonly text: string; readonly key: string }[];
  /** Runs that have not ended. */
  readonly running: number;
  script: GatewayScript;
  agents: readonly object[];
  /** Says no to whoever asks for a run, with these words. */
  refusal: string | null;
  /** Writes an openclaw.json by which this gateway is found. */
  settings(path: string): Promise<void>;
  /** Every connection is lost; the runs go on. */
  disconnect(): void;
  /** Dies with all that runs, and listens no more. What it had begun counts as interrupted. */
  die(): Promise<void>;
  listen(): Promise<void>;
  /** Goes on by itself with an interrupted session, as OpenClaw does after its start. */
  recover(session: string, text: string): void;
}

const TOKEN = 'scripted-gateway-token';

export async function scriptedGateway(script: GatewayScript = () => undefined): Promise<ScriptedGateway> {
  const sockets = new Set<WebSocket>();
  const runs: GatewayRun[] = [];
  const messages: { session: string; text: string; key: string }[] = [];
  const sessions = new Map<string, Session>();
  /** Session of each key, for as long as this life lasts. */
  const keys = new Map<string, string>();
  /** Key of the first run of each session. */
  const firsts = new Map<string, string>();
  const aborts = new Map<string, () => void>();
  let life = 0;
  let running = 0;
  let port = 0;
  let server = createServer();

  const send = (socket: WebSocket, frame: object): void => {
    if (socket.readyState === 1) socket.send(JSON.stringify(frame));
  };
  const announce = (payload: object): void => {
    for (const socket of sockets) send(socket, { type: 'event', event: 'agent', payload });
  };

  async function run(socket: WebSocket, id: string, params: Record<string, string>): Promise<void> {
    const { message = '', agentId = '', sessionKey = '', idempotencyKey: runId = '' } = params;
    const own = life;
    const refuse = (text: string): void =>
      send(socket, { type: 'res', id, ok: false, error: { code: 'UNAVAILABLE', message: text } });
    if (self.refusal !== null) return refuse(self.refusal);
    if (keys.has(runId)) return send(socket, { type: 'res', id, ok: true, payload: { runId, status: 'in_flight' } });
    keys.set(runId, sessionKey);
    send(socket, { type: 'res', id, ok: true, payload: { runId, status: 'accepted' } });
    if (!sessionKey.includes(':handoff:')) {
      messages.push({ session: sessionKey, text: message, key: runId });
      return;
    }
    firsts.set(sessionKey, firsts.get(sessionKey) ?? runId);
    const session: Session = { status: 'running', abortedLastRun: false, text: '' };
    sessions.set(sessionKey, session);
    const aborted = Promise.withResolvers<void>();
    aborts.set(sessionKey, aborted.resolve);
    const said = new Map<string, string>();
    const tell = (stream: string, data: unknown): void => {
      if (own === life) announce({ runId, sessionKey, stream, data });
    };
    const scripted: GatewayRun = {
      ...{ key: runId, session: sessionKey, agent: agentId, message, aborted: aborted.promise, tell },
      say(delta, itemId = '1') {
        const text = (said.get(itemId) ?? '') + delta;
        said.set(itemId, text);
        tell('assistant', { text, delta, itemId });
      },
      tool: (toolCallId, phase, data) => tell('tool', { phase, toolCallId, name: 'exec', ...data }),
    };
    runs.push(scripted);
    running += 1;
    const end = (await self.script(scripted)) ?? {};
    running -= 1;
    if (own !== life) return;
    aborts.delete(sessionKey);
    const { status = 'ok', stopReason = 'stop', text = [...said.values()].join(''), media = null, refusal } = end;
    session.text = text;
    session.status = stopReason === 'rpc' ? 'killed' : status === 'ok' ? 'done' : 'failed';
    if (refusal !== undefined) return refuse(refusal);
    const payloads = text === '' && media === null ? [] : [{ text, mediaUrl: media }];
    const result = { payloads, meta: { agentMeta: { usage: { input: 11, output: 7 } } } };
    send(socket, { type: 'res', id, ok: true, payload: { runId, status, stopReason, result } });
  }

  function history(sessionKey: string): object[] {
    const user = (key: string): object => ({ role: 'user', content: 'x', idempotencyKey: `${key}:user` });
    const told = messages.filter(({ session }) => session === sessionKey).map(({ key }) => user(key));
    const first = firsts.get(sessionKey);
    const text = sessions.get(sessionKey)?.text ?? '';
    const content = [{ type: 'text', text }];
    return [
      ...told,
      ...(first === undefined ? [] : [user(first)]),
      ...(text === '' ? [] : [{ role: 'assistant', content, usage: { input: 11, output: 7 } }]),
    ];
  }

  const answers: Record<string, (params: Record<string, string>) => object> = {
    connect: ({ auth }) =>
      JSON.stringify(auth) === JSON.stringify({ token: TOKEN })
        ? { ok: true, payload: { server: { version: '2026.9.6' } } }
        : { ok: false, error: { code: 'UNAUTHORIZED', message: 'no' } },
    'agents.list': () => ({ ok: true, payload: { defaultId: 'main', agents: self.agents } }),
    'chat.abort': ({ sessionKey = '' }) => {
      const abort = aborts.get(sessionKey);
      abort?.();
      return { ok: true, payload: { ok: true, aborted: abort !== undefined } };
    },
    'agent.wait': ({ runId = '' }) => {
      const session = sessions.get(keys.get(runId) ?? '');
      return { ok: true, payload: { runId, status: session?.status === 'done' ? 'ok' : 'timeout' } };
    },
    'sessions.describe': ({ key = '' }) => {
      const session = sessions.get(key);
      return { ok: true, payload: { session: session === undefined ? null : { ...session, text: undefined } } };
    },
    'chat.history': ({ sessionKey = '' }) => ({ ok: true, payload: { messages: history(sessionKey) } }),
  };

  function serve(socket: WebSocket): void {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { id: string; method: string; params: Record<string, string> };
      const { id, method, params } = frame;
      if (method === 'agent') return void run(socket, id, params);
      const unknown = { ok: false, error: { message: `no ${method}` } };
      send(socket, { type: 'res', id, ...(answers[method]?.(params) ?? unknown) });
    });
    send(socket, { type: 'event', event: 'connect.challenge', payload: { nonce: 'n' } });
  }

  async function listen(): Promise<void> {
    server = createServer();
    new WebSocketServer({ server, maxPayload: 26_214_400 }).on('connection', serve);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  }

  async function die(): Promise<void> {
    life += 1;
    keys.clear();
    for (const session of sessions.values()) if (session.status === 'running') session.abortedLastRun = true;
    for (const abort of aborts.values()) abort();
    aborts.clear();
    for (const socket of sockets) socket.terminate();
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.closeAllConnections();
    server.close();
    await closed;
  }

  const self: ScriptedGateway = {
    get port() {
      return port;
    },
    runs,
    messages,
    get running() {
      return running;
    },
    script,
    agents: [{ id: 'main', name: 'Main' }],
    refusal: null,
    settings: (path) => writeFile(path, JSON.stringify({ gateway: { port, auth: { token: TOKEN } } })),
    disconnect() {
      for (const socket of sockets) socket.terminate();
    },
    die,
    listen,
    recover(sessionKey, text) {
      const session = sessions.get(sessionKey)!;
      Object.assign(session, { status: 'running', abortedLastRun: false });
      announce({ runId: 'recovery', sessionKey, stream: 'assistant', data: { text, delta: text, itemId: 'r' } });
      Object.assign(session, { status: 'done', text });
    },
    [Symbol.asyncDispose]: die,
  };
  await listen();
  return self;
}
