import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { KeyObject, KeyPairKeyObjectResult } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';

/** A node host without the half gigabyte: it has a key, pairs, offers commands, and answers each with its arguments. */
export interface LightNode {
  readonly deviceId: string;
  /** Tries once, saying this of itself from now on. Resolves with `connected`, `pairing required` or what went wrong. */
  connect(said?: Partial<Said>): Promise<string>;
  /** Tries again and again, as an app does, until it is closed. */
  stay(): Promise<void>;
  close(): void;
}

interface Said {
  readonly displayName: string;
  readonly commands: readonly string[];
}

export interface LightNodeOptions extends Said {
  readonly url: string;
  /** The gateway's own, or that of a setup code. */
  readonly token: string;
  readonly isOfSetupCode?: boolean;
  /** Its own where several connections are to be one device; else a new one. */
  readonly keys?: KeyPairKeyObjectResult;
  /** JSON of what it answers to a command, by its name and the JSON of its arguments. */
  readonly answer?: (command: string, paramsJSON: string) => string;
}

interface Frame {
  readonly type: string;
  readonly id?: string;
  readonly event?: string;
  readonly ok?: boolean;
  readonly payload?: {
    readonly nonce: string;
    readonly ts: number;
    readonly id: string;
    readonly command: string;
    readonly paramsJSON?: string;
  };
  readonly error?: { readonly message: string; readonly details?: { readonly code?: string } };
}

const AGAIN_MS = 500;
const SILENT_MS = 10_000;
const CLIENT = { id: 'node-host', mode: 'node', version: '2026.9.6', platform: 'linux', deviceFamily: 'Linux' };

export function lightNode(options: LightNodeOptions): LightNode {
  const { url, token, isOfSetupCode = false, keys = generateKeyPairSync('ed25519'), ...rest } = options;
  const { answer = (_, params) => params, ...first } = rest;
  const { publicKey, privateKey } = keys;
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const deviceId = createHash('sha256').update(raw).digest('hex');
  let said: Said = first;
  let socket: WebSocket | null = null;
  const over = new AbortController();

  function hello({ nonce, ts }: { nonce: string; ts: number }): object {
    const signature = signed(privateKey, ['v3', deviceId, CLIENT.id, CLIENT.mode, 'node', '', ts, token, nonce]);
    const device = { id: deviceId, publicKey: raw.toString('base64url'), signature, signedAt: ts, nonce };
    const client = { ...CLIENT, displayName: said.displayName };
    const auth = isOfSetupCode ? { bootstrapToken: token } : { token };
    const asks = { role: 'node', scopes: [], caps: ['system'], commands: said.commands, auth, device };
    return { minProtocol: 4, maxProtocol: 4, client, ...asks };
  }

  function connect(changed: Partial<Said> = {}): Promise<string> {
    said = { ...said, ...changed };
    socket?.terminate();
    const opened = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: SILENT_MS });
    socket = opened;
    const { promise, resolve } = Promise.withResolvers<string>();
    // A gateway that starts may take a connection and never answer it.
    const silent = setTimeout(() => opened.terminate(), SILENT_MS);
    void promise.then(() => clearTimeout(silent));
    const ask = (id: string, method: string, params: object) =>
      opened.send(JSON.stringify({ type: 'req', id, method, params }));
    opened.on('error', (error) => resolve(error.message));
    opened.on('close', (code) => resolve(`closed with ${code}`));
    opened.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Frame;
      if (frame.event === 'connect.challenge') ask('hello', 'connect', hello(frame.payload!));
      if (frame.id === 'hello' && frame.ok === true) resolve('connected');
      if (frame.id === 'hello' && frame.ok === false) {
        const code = frame.error?.details?.code;
        resolve(code === 'PAIRING_REQUIRED' ? 'pairing required' : (frame.error?.message ?? ''));
      }
      if (frame.event === 'node.invoke.request') {
        const { id, command, paramsJSON } = frame.payload!;
        const result = { id, nodeId: deviceId, ok: true, payloadJSON: answer(command, paramsJSON ?? '{}') };
        ask(randomUUID(), 'node.invoke.result', result);
      }
    });
    return promise;
  }

  return {
    deviceId,
    connect,
    async stay() {
      while (!over.signal.aborted) {
        const isIn = (await connect()) === 'connected' && socket?.readyState === WebSocket.OPEN;
        if (isIn) await once(socket!, 'close', { signal: over.signal }).catch(() => undefined);
        else socket?.terminate();
        await pause(AGAIN_MS, undefined, { signal: over.signal }).catch(() => undefined);
      }
      socket?.terminate();
    },
    close() {
      over.abort();
      socket?.terminate();
    },
  };
}

/** What OpenClaw's gateway has a device sign, version 3. */
function signed(key: KeyObject, words: readonly (string | number)[]): string {
  const text = [...words, CLIENT.platform.toLowerCase(), CLIENT.deviceFamily.toLowerCase()].join('|');
  return sign(null, Buffer.from(text), key).toString('base64url');
}
