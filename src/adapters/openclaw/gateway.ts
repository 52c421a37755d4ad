import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { Look } from '#src/adapters/openclaw/gateway-look.ts';
import { NOTHING, isSameLook, lookAt } from '#src/adapters/openclaw/gateway-look.ts';
import { invokeResultSchema, setupCodeSchema, setupStatusSchema } from '#src/adapters/openclaw/gateway-messages.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { approve, reject, removeDevice } from '#src/adapters/openclaw/gateway-pairing.ts';
import type { DeviceRequest, GatewayRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';

export interface GatewayStatus {
  readonly state: 'connected' | 'disconnected';
  readonly url: string;
  readonly version: string | null;
  readonly problem: string | null;
}

export interface MintedCode {
  readonly setupCode: string;
  /** By which it is known without being told. */
  readonly setupId: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * OpenClaw's gateway as its operator sees it. All that wait throw GATEWAY_UNREACHABLE while it is not connected,
 * and OPENCLAW_REFUSED where the gateway says no.
 */
export interface Gateway {
  status(): GatewayStatus;
  /** By device id; empty while the gateway is not connected. */
  nodes(): ReadonlyMap<string, GatewayNode>;
  /** What waits for a decision, as of the last look, the oldest first; empty while the gateway is not connected. */
  requests(): readonly GatewayRequest[];
  /**
   * Calls after every change of status, nodes or requests, and when a setup code was used, until the returned function
   * is called. That a node was seen again is no change.
   */
  onChange(listener: () => void): () => void;
  /** A code that admits one node host, once, which reaches the gateway by this loopback port of its machine. */
  mintSetupCode(carrierPort: number): Promise<MintedCode>;
  /** The device that a setup code let in; null while it was not used. */
  setupCodeUser(setupId: string): Promise<string | null>;
  /**
   * Pairs the device that was seen; resolves when the gateway confirmed it, also where somebody else did it already.
   * Throws OPENCLAW_REFUSED where the request has changed since or is gone, HELD where it would operate OpenClaw. The node learns of it when it asks
   * again, which OpenClaw's node host does not do by itself.
   */
  approveDevice(seen: DeviceRequest): Promise<void>;
  /** Approves the commands that were seen, in the same way; they can be called at once. */
  approveSurface(seen: SurfaceRequest): Promise<void>;
  /** Resolves when the request is gone; throws OPENCLAW_REFUSED where somebody else approved it. */
  rejectDevice(seen: DeviceRequest): Promise<void>;
  rejectSurface(seen: SurfaceRequest): Promise<void>;
  /** Resolves when the gateway lists neither the device nor its surface, also when they were gone already. */
  removeDevice(deviceId: string): Promise<void>;
  /** Gives a node with an approved surface another display name. */
  renameNode(deviceId: string, name: string): Promise<void>;
  /** Runs a command of a node host and returns its payload. */
  invoke(deviceId: string, command: string, params: object, timeoutMs: number): Promise<unknown>;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly url: string;
  /** Read anew for every connection and kept nowhere. */
  readonly token: () => Promise<string> | string;
  /** Whether a gateway of that user is the one that is meant. */
  readonly trusts: (uid: number | null) => boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const REFRESH_MS = 3000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 5000;

/** Keeps an operator's connection to the gateway until `signal` or `close`. */
export function connectGateway({ url, token, trusts, log, signal }: GatewayOptions): Gateway {
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);
  const listeners = new Set<() => void>();
  let connection: GatewayConnection | null = null;
  let seen = NOTHING;
  let isCodeUsed = false;
  let status: GatewayStatus = { state: 'disconnected', url, version: null, problem: 'not tried yet' };
  let wake = (): void => undefined;

  const done = run();

  async function run(): Promise<void> {
    for (let failures = 0; !stopped.aborted; failures++) {
      try {
        const opened = await openConnection({ url, token: await token(), trusts, onEvent: refreshOn, signal: stopped });
        failures = 0;
        change(await serve(opened));
      } catch (error) {
        if (stopped.aborted) break;
        change(error instanceof Error ? error.message : String(error));
      }
      await pause(retryDelay(failures), undefined, { signal: stopped, ref: false }).catch(() => undefined);
    }
    status = { ...status, state: 'disconnected', problem: 'the hub is stopping' };
    seen = NOTHING;
  }

  /** Looks at the nodes and requests until the connection ends; returns why it did. */
  async function serve(opened: GatewayConnection): Promise<string> {
    let reason: string | null = null;
    const ended = opened.closed.then((text) => {
      reason = text;
    });
    try {
      while (reason === null) {
        const woken = Promise.withResolvers<void>();
        wake = woken.resolve;
        adopt(opened, await lookAt(opened));
        const waiting = new AbortController();
        const { signal: waited } = waiting;
        const tick = pause(REFRESH_MS, undefined, { signal: waited, ref: false }).catch(() => undefined);
        await Promise.race([tick, woken.promise, ended]);
        waiting.abort();
      }
      return reason;
    } finally {
      connection = null;
      opened.close();
    }
  }

  function adopt(opened: GatewayConnection, look: Look): void {
    const isNews = connection === null || isCodeUsed || !isSameLook(seen, look);
    isCodeUsed = false;
    if (connection === null) log.info('connected to the OpenClaw gateway', { url, version: opened.version });
    if (look.unread > seen.unread) log.warn('the gateway lists what can not be read', { entries: look.unread });
    connection = opened;
    status = { state: 'connected', url, version: opened.version, problem: null };
    seen = look;
    if (isNews) notify();
  }

  function change(problem: string): void {
    if (status.problem === problem) return;
    log.warn('not connected to the OpenClaw gateway', { url, problem });
    status = { ...status, state: 'disconnected', problem };
    seen = NOTHING;
    notify();
  }

  function notify(): void {
    for (const listener of listeners) listener();
  }

  function refreshOn(event: string): void {
    if (event.startsWith('device.pair.setup.')) isCodeUsed = true;
    if (/^(?:presence|node\.pair\.|node\.presence|device\.pair\.|node\.runnerInventory)/.test(event)) wake();
  }

  function connected(): GatewayConnection {
    if (connection !== null) return connection;
    throw new FederationError('GATEWAY_UNREACHABLE', 'the OpenClaw gateway is not connected', {
      hint: 'manage-federation status',
    });
  }

  /** Afterwards, and after a refusal too, what the gateway lists is looked at at once. */
  async function decide(deed: (gateway: GatewayConnection) => Promise<unknown>): Promise<void> {
    try {
      await deed(connected());
    } finally {
      wake();
    }
  }

  return {
    status: () => status,
    nodes: () => seen.nodes,
    requests: () => seen.requests,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async mintSetupCode(carrierPort) {
      // The gateway refuses to mint for plain ws:// to any other machine; to the node host the carrier is local.
      const publicUrl = `ws://127.0.0.1:${carrierPort}`;
      const params = { bootstrapProfile: 'node', includeQr: false, publicUrl };
      const minted = await connected().request('device.pair.setupCode', params, setupCodeSchema);
      return { setupCode: minted.setupCode, setupId: minted.setupId, expiresAt: minted.expiresAtMs };
    },
    async setupCodeUser(setupId) {
      const used = await connected().request('device.pair.setupStatus', { setupId }, setupStatusSchema);
      return (used.completion ?? used.deliveryUncertain)?.deviceId ?? null;
    },
    approveDevice: (request) => decide((asked) => approve(asked, request)),
    approveSurface: (request) => decide((asked) => approve(asked, request)),
    rejectDevice: (request) => decide((asked) => reject(asked, request)),
    rejectSurface: (request) => decide((asked) => reject(asked, request)),
    removeDevice: (deviceId) => decide((asked) => removeDevice(asked, deviceId)),
    renameNode: (nodeId, displayName) =>
      decide((asked) => asked.request('node.rename', { nodeId, displayName }, z.unknown())),
    async invoke(deviceId, command, params, timeoutMs) {
      const request = { nodeId: deviceId, command, params, timeoutMs, idempotencyKey: randomUUID() };
      const answer = await connected().request('node.invoke', request, invokeResultSchema, timeoutMs + 5000);
      return answer.payload;
    },
    async close() {
      stopping.abort();
      await done;
    },
  };
}

/** Half to all of a doubling time, so that several hubs' retries do not fall together. */
function retryDelay(failures: number): number {
  const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10));
  return ceiling * (0.5 + Math.random() / 2);
}
