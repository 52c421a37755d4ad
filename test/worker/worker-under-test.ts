import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, performServerHandshake } from 'node:http2';
import { type AddressInfo, type Socket, connect as dial, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ulid } from 'ulid';
import { createLog } from '#src/adapters/log.ts';
import { createProcesses, type Processes } from '#src/adapters/process/processes.ts';
import { type Journal, openJournal } from '#src/adapters/store/journal.ts';
import type { OwnGateway } from '#src/adapters/openclaw/own-gateway.ts';
import type { FileSettings } from '#src/core/file-policy.ts';
import type { Asker, ExecSettings } from '#src/core/policy.ts';
import type { ToolSettings } from '#src/core/tool-policy.ts';
import type { UsedApproval } from '#src/protocol/approval.ts';
import { FRAME, encodeFrame, encodeJsonFrame, frameJson, frameReader } from '#src/protocol/frames.ts';
import {
  type Command,
  type WorkerExit,
  type Started,
  EPOCH_HEADER,
  workerExitSchema,
} from '#src/protocol/worker-api.ts';
import { createWorkerApi } from '#src/worker/api.ts';
import { createConsent } from '#src/worker/consent.ts';
import { createExecutor, type Executor } from '#src/worker/exec.ts';
import { createFiles } from '#src/worker/files/files.ts';
import { createTools } from '#src/worker/tools.ts';

export const FULL: ExecSettings = { mode: 'full', allow: [], deny: [] };
const NOTHING_OPEN: FileSettings = { read: { roots: [], deny: [] }, write: { roots: [], deny: [] }, maxBytes: 1 };
const NO_GATEWAY: OwnGateway = { invokeTool: () => Promise.reject(new Error('no gateway here')) };
export const log = createLog({ level: 'error', module: 'test' });

export interface WorkerUnderTest {
  readonly executor: Executor;
  readonly journal: Journal;
  readonly processes: Processes;
  readonly session: ClientHttp2Session;
  readonly folder: string;
  /** Opens a further connection, as the hub does after it lost one. */
  connect(): Promise<ClientHttp2Session>;
  close(): Promise<void>;
}

export interface WorkerSetup {
  readonly exec?: ExecSettings;
  readonly role?: 'master' | 'worker' | 'hybrid';
  readonly hubLossMs?: number;
  readonly killAfterMs?: number;
  readonly journal?: Journal;
  readonly files?: FileSettings;
  /** What `~` is; the worker’s own folder is another. */
  readonly home?: string;
  readonly tools?: ToolSettings;
  readonly gateway?: OwnGateway;
}

/** The worker's part of a link over a real socket, with real processes and a real journal. */
export async function startWorker(setup: WorkerSetup = {}): Promise<WorkerUnderTest> {
  const { exec = FULL, role = 'worker', hubLossMs = 400, killAfterMs = 300 } = setup;
  const folder = mkdtempSync(join(tmpdir(), 'federation-'));
  const journal =
    setup.journal ?? (await openJournal({ directory: folder, maxBytes: 1 << 20, retainMs: 60_000, bootId: 'boot' }));
  const processes = createProcesses({ log });
  const node = { id: () => 'f'.repeat(64), name: 'w1', role };
  const executor = createExecutor({
    node,
    consent: createConsent(node),
    settings: () => ({ exec, hubLossMs, killAfterMs }),
    journal,
    processes,
    log,
  });
  const { files: open = NOTHING_OPEN, home = '/nonexistent' } = setup;
  const files = createFiles({
    consent: createConsent(node),
    policy: () => ({ files: open, exec, home, own: [folder] }),
    log,
  });
  const { tools: callable = { allow: [], deny: [], maxOutputBytes: 1024 }, gateway = NO_GATEWAY } = setup;
  const tools = createTools({ consent: createConsent(node), settings: () => callable, gateway });
  const api = createWorkerApi({ executor, files, tools, models: null, handoffs: null, knownEpoch: () => 5 });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    performServerHandshake(socket)
      .on('error', () => undefined)
      .on('stream', api);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function connectHub(): Promise<ClientHttp2Session> {
    const socket = dial((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    const session = connect('http://worker', { createConnection: () => socket });
    session.on('error', () => undefined);
    return session;
  }

  const session = await connectHub();
  return {
    executor,
    journal,
    processes,
    session,
    folder,
    connect: connectHub,
    async close() {
      await executor.endAll('cancelled');
      for (const socket of sockets) socket.destroy();
      session.destroy();
      server.close();
      await journal.close();
      processes.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface Exec {
  readonly id: string;
  readonly stream: ClientHttp2Stream;
  readonly started: Promise<Started>;
  readonly exit: Promise<WorkerExit>;
  /** Resolves when the stream is closed, with an exit or without. */
  readonly closed: Promise<void>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  send(type: 'stdin' | 'stdinEnd' | 'cancel' | 'go', payload?: Uint8Array): void;
}

export interface ExecOptions {
  readonly id?: string;
  readonly asker?: Asker;
  readonly approval?: UsedApproval;
  readonly stdin?: boolean;
  /** Of the hub that asks. */
  readonly epoch?: string;
  /** Whether it waits for `go`. */
  readonly held?: boolean;
  readonly onStdout?: (chunk: Buffer) => void;
}

/** Asks for one command as a hub does. */
export function exec(session: ClientHttp2Session, command: Partial<Command>, options: ExecOptions = {}): Exec {
  const { id = ulid(), asker = { kind: 'operator', name: 'ann' }, stdin = false, epoch = '5', held = false } = options;
  const { approval } = options;
  const stream = session.request({ ':method': 'POST', ':path': '/exec', [EPOCH_HEADER]: epoch }, { endStream: false });
  const started = Promise.withResolvers<Started>();
  const exit = Promise.withResolvers<WorkerExit>();
  const closed = Promise.withResolvers<void>();
  const text = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const reader = frameReader((frame) => {
    if (frame.type === FRAME.started) started.resolve(frameJson(frame) as Started);
    if (frame.type === FRAME.exit) exit.resolve(workerExitSchema.parse(frameJson(frame)));
    if (frame.type === FRAME.stdout) (options.onStdout ?? ((chunk) => text.stdout.push(chunk)))(frame.payload);
    if (frame.type === FRAME.stderr) text.stderr.push(frame.payload);
  });
  started.promise.catch(() => undefined);
  exit.promise.catch(() => undefined);
  stream.on('data', (chunk: Buffer) => reader.push(chunk));
  stream.on('error', () => undefined);
  stream.on('close', () => {
    closed.resolve();
    started.reject(new Error('the stream closed before `started`'));
    exit.reject(new Error('the stream closed before `exit`'));
  });
  stream.write(encodeJsonFrame(FRAME.open, 0, { id, job: ulid(), asker, command, approval, stdin, held }));
  return {
    id,
    stream,
    started: started.promise,
    exit: exit.promise,
    closed: closed.promise,
    stdout: () => Buffer.concat(text.stdout).toString(),
    stderr: () => Buffer.concat(text.stderr).toString(),
    send: (type, payload = Buffer.alloc(0)) => void stream.write(encodeFrame(FRAME[type], 0, payload)),
  };
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Any other request of a hub. */
export async function ask(
  session: ClientHttp2Session,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = { [EPOCH_HEADER]: '5' },
): Promise<JsonAnswer> {
  const stream = session.request({ ':method': method, ':path': path, ...headers });
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(answer[':status']), body: JSON.parse(Buffer.concat(chunks).toString()) };
}

/** Waits until `condition` holds; throws after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited in vain');
    await sleep(10);
  }
}

/** Processes that live and have `mark` among their arguments. */
export function processesMarked(mark: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && argumentsOf(pid).includes(mark));
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
