import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

/** A run of an agent, as the script of a test has it. */
export interface ScriptedRun {
  readonly key: string;
  readonly agent: string;
  readonly session: string;
  readonly message: string;
  /** Aborted where somebody asked for its end. */
  readonly aborted: AbortSignal;
  /** Where files that belong to the answer are to be put. */
  readonly outFolder: string;
  say(text: string): void;
  tool(name: string, args: object, result: string): void;
}

/** What an agent answers in the end; throws where it fails. */
export type AgentScript = (run: ScriptedRun) => Promise<string>;

/** The gateway of a node, as much of it as runs agents: OpenClaw's protocol, and a script in the place of a model. */
export interface AgentGateway extends AsyncDisposable {
  /** What `worker.tools.gatewaySettings` names. */
  readonly settingsFile: string;
  /** All that were ever asked for, each key once. */
  readonly runs: readonly ScriptedRun[];
  /** Also those that were asked for again. */
  readonly asked: readonly ScriptedRun[];
  /** Of them, those that go on. */
  running(): number;
  script: AgentScript;
  /** Before anybody is told that a run was accepted. */
  beforeAccept: (run: ScriptedRun) => void;
  /** Resolves when somebody connects anew. */
  connected(): Promise<void>;
}

interface Request {
  readonly id: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

interface Run extends ScriptedRun {
  readonly stop: AbortController;
  status: 'running' | 'ok' | 'error' | 'killed';
  answer: string;
}

const TOKEN = 'a-token-of-a-scripted-gateway';

export async function agentGateway(script: AgentScript): Promise<AgentGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-gateway-'));
  const runs: Run[] = [];
  const asked: Run[] = [];
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');

  function tell(event: string, payload: object): void {
    for (const client of server.clients) client.send(JSON.stringify({ type: 'event', event, payload }));
  }

  function answer(socket: WebSocket, id: string, payload: object): void {
    socket.send(JSON.stringify({ type: 'res', id, ok: true, payload }));
  }

  function begun({ message, agentId, sessionKey, idempotencyKey }: Request['params']): Run {
    const stop = new AbortController();
    const key = String(idempotencyKey);
    const session = String(sessionKey);
    let text = '';
    const happened = (stream: string, data: object): void =>
      tell('agent', { runId: key, sessionKey: session, stream, data });
    const run: Run = {
      ...{ key, session, agent: String(agentId), message: String(message), stop, aborted: stop.signal },
      ...{ status: 'running', answer: '' },
      outFolder: /put them into (\S+),/.exec(String(message))?.[1] ?? '',
      say(delta) {
        text += delta;
        happened('assistant', { text, delta, itemId: 'i1' });
      },
      tool(name, args, result) {
        const toolCallId = `${name}-1`;
        happened('tool', { phase: 'start', name, toolCallId, args });
        happened('tool', { phase: 'result', name, toolCallId, result: { content: [{ type: 'text', text: result }] } });
      },
    };
    runs.push(run);
    return run;
  }

  async function conduct(socket: WebSocket, id: string, run: Run): Promise<void> {
    gateway.beforeAccept(run);
    answer(socket, id, { status: 'accepted', runId: run.key });
    tell('agent', { runId: run.key, sessionKey: run.session, stream: 'lifecycle', data: { phase: 'start' } });
    try {
      run.answer = await gateway.script(run);
      run.status = run.aborted.aborted ? 'killed' : 'ok';
    } catch (error) {
      run.answer = String(error);
      run.status = run.aborted.aborted ? 'killed' : 'error';
    }
    if (run.status === 'killed') answer(socket, id, { runId: run.key, status: 'error', stopReason: 'rpc' });
    else if (run.status === 'error') answer(socket, id, { runId: run.key, status: 'error', summary: run.answer });
    else answer(socket, id, { runId: run.key, status: 'ok', result: { payloads: [{ text: run.answer }] } });
  }

  function describe(run: Run | undefined): object {
    if (run === undefined) return { session: null };
    const status = run.status === 'ok' ? 'done' : run.status === 'error' ? 'failed' : run.status;
    const abortedLastRun = run.status === 'killed';
    return { session: { status, abortedLastRun, hasActiveRun: status === 'running', lastRunId: run.key } };
  }

  function history(session: unknown): object {
    const messages = runs
      .filter((run) => run.session === session)
      .flatMap(({ key, message, status, answer: said }) => [
        { role: 'user', content: message, idempotencyKey: `${key}:user` },
        ...(status === 'ok' ? [{ role: 'assistant', content: [{ type: 'text', text: said }] }] : []),
      ]);
    return { messages };
  }

  function serve(socket: WebSocket, { id, method, params }: Request): void {
    const run = runs.find(({ key, session }) =>
      params['runId'] === undefined ? session === (params['sessionKey'] ?? params['key']) : key === params['runId'],
    );
    switch (method) {
      case 'connect':
        return answer(socket, id, { server: { version: '2026.9.6' } });
      case 'agents.list':
        return answer(socket, id, { defaultId: 'main', agents: [{ id: 'main', name: 'Main' }, { id: 'coder' }] });
      case 'agent': {
        const known = runs.find(({ key }) => key === params['idempotencyKey']);
        asked.push(known ?? begun(params));
        if (known !== undefined) return answer(socket, id, { runId: known.key, status: 'in_flight' });
        return void conduct(socket, id, asked.at(-1)!);
      }
      case 'agent.wait':
        return answer(socket, id, waited(run));
      case 'sessions.describe':
        return answer(socket, id, describe(run));
      case 'chat.history':
        return answer(socket, id, history(params['sessionKey']));
      case 'chat.abort': {
        const aborted = run?.status === 'running';
        if (aborted) run.stop.abort(new Error('it was stopped'));
        return answer(socket, id, { aborted });
      }
      default:
        socket.send(JSON.stringify({ type: 'res', id, ok: false, error: { code: 'INVALID', message: method } }));
    }
  }

  server.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => serve(socket, JSON.parse(data.toString()) as Request));
    socket.send(JSON.stringify({ type: 'event', event: 'connect.challenge', payload: { nonce: 'n' } }));
  });
  const settingsFile = join(folder, 'openclaw.json');
  const { port } = server.address() as AddressInfo;
  await writeFile(settingsFile, JSON.stringify({ gateway: { port, auth: { token: TOKEN } } }), { mode: 0o600 });

  const gateway: AgentGateway = {
    settingsFile,
    runs,
    asked,
    running: () => runs.filter(({ status }) => status === 'running').length,
    script,
    beforeAccept: () => undefined,
    connected: async () => void (await once(server, 'connection')),
    async [Symbol.asyncDispose]() {
      for (const { stop } of runs) stop.abort(new Error('the test is over'));
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true });
    },
  };
  return gateway;
}

function waited(run: Run | undefined): object {
  if (run === undefined || run.status === 'running') return { status: 'timeout' };
  return run.status === 'killed' ? { status: 'timeout', stopReason: 'rpc' } : { status: run.status };
}
