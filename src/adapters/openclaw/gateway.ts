import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import {
  deviceListSchema,
  invokeResultSchema,
  nodeListSchema,
  setupCodeSchema,
} from '#src/adapters/openclaw/gateway-messages.ts';

/** A node host as the gateway's `node.list` has it. */
export interface GatewayNode {
  readonly connected: boolean;
  readonly commands: readonly string[];
  readonly approvalState: string;
}

export interface GatewayStatus {
  readonly state: 'connected' | 'disconnected';
  readonly url: string;
  readonly version: string | null;
  readonly problem: string | null;
}

export interface MintedCode {
  readonly setupCode: string;
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
  /** Calls after every change of status or nodes, until the returned function is called. */
  onChange(listener: () => void): () => void;
  /** A code that admits one node host, once, which reaches the gateway by this loopback port of its machine. */
  mintSetupCode(carrierPort: number): Promise<MintedCode>;
  /** Resolves when the gateway confirmed that the device is gone, also when it was gone already. */
  removeDevice(deviceId: string): Promise<void>;
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
const NO_NODES: ReadonlyMap<string, GatewayNode> = new Map();

/** Keeps an operator's connection to the gateway until `signal` or `close`. */
export function connectGateway({ url, token, trusts, log, signal }: GatewayOptions): Gateway {
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);
  const listeners = new Set<() => void>();
  let connection: GatewayConnection | null = null;
  let nodes = NO_NODES;
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
    nodes = NO_NODES;
  }

  /** Asks for the nodes until the connection ends; returns why it did. */
  async function serve(opened: GatewayConnection): Promise<string> {
    let reason: string | null = null;
    const ended = opened.closed.then((text) => {
      reason = text;
    });
    try {
      while (reason === null) {
        const woken = Promise.withResolvers<void>();
        wake = woken.resolve;
        adopt(opened, await opened.request('node.list', {}, nodeListSchema));
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

  function adopt(opened: GatewayConnection, { nodes: rows }: z.infer<typeof nodeListSchema>): void {
    const before = JSON.stringify([status, ...nodes]);
    if (connection === null) log.info('connected to the OpenClaw gateway', { url, version: opened.version });
    connection = opened;
    status = { state: 'connected', url, version: opened.version, problem: null };
    nodes = new Map(rows.map(({ nodeId, ...row }) => [nodeId, row]));
    if (JSON.stringify([status, ...nodes]) !== before) notify();
  }

  function change(problem: string): void {
    if (status.problem === problem) return;
    log.warn('not connected to the OpenClaw gateway', { url, problem });
    status = { ...status, state: 'disconnected', problem };
    nodes = NO_NODES;
    notify();
  }

  function notify(): void {
    for (const listener of listeners) listener();
  }

  function refreshOn(event: string): void {
    if (/^(?:presence|node\.pair\.|node\.presence|device\.pair\.|node\.runnerInventory)/.test(event)) wake();
  }

  function connected(): GatewayConnection {
    if (connection !== null) return connection;
    throw new FederationError('GATEWAY_UNREACHABLE', 'the OpenClaw gateway is not connected', {
      hint: 'manage-federation status',
    });
  }

  return {
    status: () => status,
    nodes: () => nodes,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async mintSetupCode(carrierPort) {
      // The gateway refuses to mint for plain ws:// to any other machine; to the node host the carrier is local.
      const publicUrl = `ws://127.0.0.1:${carrierPort}`;
      const params = { bootstrapProfile: 'node', includeQr: false, publicUrl };
      const minted = await connected().request('device.pair.setupCode', params, setupCodeSchema);
      return { setupCode: minted.setupCode, expiresAt: minted.expiresAtMs };
    },
    async removeDevice(deviceId) {
      const gateway = connected();
      try {
        await gateway.request('device.pair.remove', { deviceId }, z.unknown());
      } catch (error) {
        // The refusal of an unknown device has no code of its own: look whether it is gone.
        const { paired } = await gateway.request('device.pair.list', {}, deviceListSchema);
        if (paired.some((device) => device.deviceId === deviceId)) throw error;
      }
      wake();
    },
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
