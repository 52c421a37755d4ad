import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import { ASKER_HEADER, decodeAsker } from '#src/protocol/asker.ts';
import { encodeFrame, encodeJsonFrame, FRAME } from '#src/protocol/frames.ts';
import type { Result } from '#src/protocol/hub-api/job.ts';

export interface ChatRequest {
  /** Method and path behind /api/v1, without the query. */
  readonly what: string;
  readonly query: URLSearchParams;
  readonly asker: ChatAsker;
  readonly body: Buffer;
  /** The body, where it is JSON. */
  readonly json: unknown;
}

type Answer = object | ((request: ChatRequest, response: ServerResponse) => unknown);

/** A hub as the gateway's plugin sees it, which answers what a test tells it. */
export interface ChatHub extends AsyncDisposable {
  readonly socket: string;
  /** What takes a response itself answers undefined; what throws is a refusal. */
  readonly answers: Map<string, Answer>;
  readonly asked: readonly ChatRequest[];
  /** Tells everybody who listens. */
  announce(event: string, data: object): void;
}

export async function chatHub(): Promise<ChatHub> {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-chat-hub-'));
  const socket = join(folder, 'plugin.sock');
  const answers: ChatHub['answers'] = new Map();
  const asked: ChatRequest[] = [];
  const listening = new Set<ServerResponse>();
  const server = createServer((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://hub');
    const what = `${request.method} ${url.pathname.replace('/api/v1', '')}`;
    const asker = decodeAsker(request.headers[ASKER_HEADER] as string | undefined);
    if (what === 'GET /events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': from here on\n\n');
      listening.add(response);
      response.once('close', () => listening.delete(response));
      return;
    }
    const body = await buffer(request);
    const isJson = request.headers['content-type'] === 'application/json';
    const seen = { what, query: url.searchParams, asker, body, json: isJson ? JSON.parse(body.toString()) : null };
    asked.push(seen);
    try {
      const answer = answers.get(what);
      if (answer === undefined) throw new FederationError('NOT_FOUND', `${what} is not scripted`);
      const said: unknown = typeof answer === 'function' ? await answer(seen, response) : answer;
      if (said !== undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    } catch (error) {
      const { code, message, hint } = error as FederationError;
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ code, message, hint }));
    }
  }

  server.listen(socket);
  await once(server, 'listening');
  return {
    socket,
    answers,
    asked,
    announce(event, data) {
      for (const response of listening) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true });
    },
  };
}

/** A handler that refuses. */
export function refuses(code: ErrorCode, message: string, hint?: string): Answer {
  return () => {
    throw new FederationError(code, message, hint === undefined ? {} : { hint });
  };
}

export const NODE_ID = 'ab12cd34ef56'.padEnd(64, '0');

/** How one part of a job ended, of which only what is said is another. */
export function aResult(changed: Partial<Result> = {}): Result {
  return {
    node: 'home-server',
    id: NODE_ID,
    invocation: '01J00000000000000000000000',
    outcome: 'ok',
    exitCode: 0,
    signal: null,
    durationMs: 12,
    stdoutBytes: 0,
    stderrBytes: 0,
    truncated: false,
    replayed: false,
    reason: null,
    ...changed,
  };
}

interface Part {
  readonly result: Result;
  readonly stdout?: string | Buffer;
  readonly stderr?: string | Buffer;
}

export const JOB = '01J0000000000000000000000J';

/** A job's whole stream, at once. */
export function streamed(...parts: readonly Part[]): Answer {
  return (_request, response) => {
    openJob(
      response,
      parts.map(({ result }) => result),
    );
    for (const [target, { result, stdout = '', stderr = '' }] of parts.entries()) {
      for (const bytes of pieces(stdout)) response.write(encodeFrame(FRAME.stdout, target, bytes));
      for (const bytes of pieces(stderr)) response.write(encodeFrame(FRAME.stderr, target, bytes));
      response.write(encodeJsonFrame(FRAME.exit, target, result));
    }
    response.end(encodeJsonFrame(FRAME.summary, 0, { job: JOB, summary: {} }));
  };
}

const PIECE_BYTES = 64 * 1024;

function pieces(output: string | Buffer): Buffer[] {
  const bytes = Buffer.from(output);
  return Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, at) =>
    bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES),
  );
}

/** The beginning of a job's stream. */
export function openJob(response: ServerResponse, targets: readonly Pick<Result, 'node' | 'id'>[]): void {
  const opened = { job: JOB, targets: targets.map(({ node, id }) => ({ node, id })), leftOut: [] };
  response.write(encodeJsonFrame(FRAME.open, 0, opened));
}
