import { WebSocket } from 'ws';
import type { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { peerOwner } from '#src/adapters/peer-owner.ts';
import {
  MAX_FRAME_BYTES,
  PROTOCOL,
  acceptedSchema,
  frameSchema,
  helloSchema,
} from '#src/adapters/openclaw/gateway-messages.ts';
import type { Refusal } from '#src/adapters/openclaw/gateway-messages.ts';

/** One operator connection to the gateway, from its hello to its end. */
export interface GatewayConnection {
  readonly version: string | null;
  /**
   * Throws OPENCLAW_REFUSED where the gateway says no (its answer is the `cause`) or answers strangely, and
   * GATEWAY_UNREACHABLE where it says nothing in time or the connection ends.
   */
  request<T>(method: string, params: object, answer: z.ZodType<T>, timeoutMs?: number): Promise<T>;
  /** The same for what takes as long as it takes: the gateway says first that it is accepted, then how it ended. */
  requestLong<T>(method: string, params: object, answer: z.ZodType<T>, onAccepted: () => void): Promise<T>;
  /** Whether what is asked now is sent at all. */
  isOpen(): boolean;
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>;
  close(): void;
}

export interface ConnectOptions {
  readonly url: string;
  readonly token: string;
  /**
   * Whether a gateway of that user may be told the token: any program of this machine can take a port that is free.
   * Null where it is not known whose it is.
   */
  readonly trusts: (uid: number | null) => boolean;
  readonly onEvent: (name: string, payload: unknown) => void;
  /** What it may do there; all that the hub does where it is not given. */
  readonly scopes?: readonly string[];
  /** What it wants to hear of beside the usual. */
  readonly caps?: readonly string[];
  readonly signal: AbortSignal;
}

const REQUEST_MS = 10_000;
const CONNECT_MS = 15_000;
const SCOPES = ['operator.read', 'operator.pairing', 'operator.admin'];

interface Waiting {
  readonly resolve: (payload: unknown) => void;
  readonly reject: (error: FederationError) => void;
  /** Where an answer that it is accepted is not the last. */
  readonly onAccepted: (() => void) | null;
}

/** Connects and says hello. Throws GATEWAY_UNREACHABLE, or OPENCLAW_REFUSED with the gateway's answer as cause. */
export async function openConnection({
  url,
  token,
  trusts,
  onEvent,
  scopes = SCOPES,
  caps = [],
  signal,
}: ConnectOptions): Promise<GatewayConnection> {
  const socket = new WebSocket(url, {
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_MS,
  });
  const waiting = new Map<string, Waiting>();
  const challenged = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  let lastId = 0;
  let problem = 'the connection was closed';

  const owner = Promise.withResolvers<number | null>();
  owner.promise.catch(() => undefined);
  socket.once('upgrade', (response) => owner.resolve(peerOwner(response.socket)));

  const abort = () => socket.terminate();
  signal.addEventListener('abort', abort, { once: true });
  socket.on('error', (error) => {
    problem = error.message;
  });
  socket.on('close', (code, reason) => {
    signal.removeEventListener('abort', abort);
    if (code !== 1006) problem = `the gateway closed the connection (${code} ${reason.toString()})`;
    const error = unreachable(problem);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    challenged.reject(error);
    owner.reject(error);
    ended.resolve(problem);
  });
  socket.on('message', (data) => receive(textOf(data)));

  function receive(text: string): void {
    const frame = frameSchema.safeParse(parseJson(text));
    if (!frame.success) return;
    if (frame.data.type === 'event') {
      if (frame.data.event === 'connect.challenge') challenged.resolve();
      else onEvent(frame.data.event, frame.data.payload);
      return;
    }
    const request = waiting.get(frame.data.id);
    if (frame.data.ok && request?.onAccepted && acceptedSchema.safeParse(frame.data.payload).success) {
      return request.onAccepted();
    }
    waiting.delete(frame.data.id);
    if (frame.data.ok) request?.resolve(frame.data.payload);
    else request?.reject(refused(frame.data.error));
  }

  function request<T>(method: string, params: object, answer: z.ZodType<T>, timeoutMs = REQUEST_MS): Promise<T> {
    return ask(method, params, answer, timeoutMs, null);
  }

  async function ask<T>(
    method: string,
    params: object,
    answer: z.ZodType<T>,
    timeoutMs: number | null,
    onAccepted: (() => void) | null,
  ): Promise<T> {
    if (socket.readyState !== WebSocket.OPEN) throw unreachable(problem);
    const id = String(++lastId);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    waiting.set(id, { resolve, reject, onAccepted });
    const late = (): void => reject(unreachable(`the gateway did not answer ${method}`));
    const timer = timeoutMs === null ? undefined : setTimeout(late, timeoutMs);
    timer?.unref();
    socket.send(JSON.stringify({ type: 'req', id, method, params }));
    try {
      const parsed = answer.safeParse(await promise);
      if (parsed.success) return parsed.data;
      throw new FederationError('OPENCLAW_REFUSED', `the gateway gave a strange answer to ${method}`, {
        hint: 'is this the OpenClaw version that the README names?',
        cause: parsed.error,
      });
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  }

  // Aborted before it is waited for, its failure is nobody's.
  challenged.promise.catch(() => undefined);
  const late = setTimeout(() => socket.terminate(), CONNECT_MS);
  late.unref();
  try {
    signal.throwIfAborted();
    await challenged.promise;
    const uid = await owner.promise;
    if (!trusts(uid)) throw unreachable(`a program of another user (uid ${uid}) listens at ${url}`);
    const hello = await request(
      'connect',
      {
        minProtocol: PROTOCOL,
        maxProtocol: PROTOCOL,
        // Only this pair keeps its scopes on loopback without a paired device of its own.
        client: { id: 'gateway-client', mode: 'backend', version: '1', platform: process.platform },
        role: 'operator',
        scopes,
        caps,
        auth: { token },
        userAgent: 'openclaw-federation',
      },
      helloSchema,
      CONNECT_MS,
    );
    return {
      version: hello.server?.version ?? null,
      request,
      requestLong: (method, params, answer, onAccepted) => ask(method, params, answer, null, onAccepted),
      isOpen: () => socket.readyState === WebSocket.OPEN,
      closed: ended.promise,
      close: () => socket.terminate(),
    };
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function textOf(data: WebSocket.RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return Buffer.isBuffer(data) ? data.toString() : Buffer.from(data).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreachable(problem: string): FederationError {
  return new FederationError('GATEWAY_UNREACHABLE', `the OpenClaw gateway can't be reached: ${problem}`, {
    hint: 'manage-federation status',
  });
}

function refused(refusal: Refusal): FederationError {
  return new FederationError('OPENCLAW_REFUSED', `the OpenClaw gateway refused: ${refusal.message}`, {
    hint: 'manage-federation doctor',
    cause: refusal,
  });
}
