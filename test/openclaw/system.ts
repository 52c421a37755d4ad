import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { z } from 'zod';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import { invokeResultSchema } from '#src/adapters/openclaw/gateway-messages.ts';
import { nodeListSchema } from '#src/adapters/openclaw/gateway-node.ts';
import { deviceListSchema } from '#src/adapters/openclaw/gateway-request.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { NodeHostState, NodeView } from '#src/protocol/hub-api/node.ts';
import type { Finished, Place, Running } from '../e2e/place.ts';
import { makePlace } from '../e2e/place.ts';
import type { ProcessSeen } from '../e2e/processes.ts';
import { processesOf } from '../e2e/processes.ts';
import { until } from '../e2e/until.ts';

/** A federation with the real OpenClaw as a person has it, and the gateway as its own operator sees it. */
export interface System {
  readonly place: Place;
  /** What `--dir` named. */
  readonly directory: string;
  readonly hub: HubRecord;
  readonly gatewayPort: number;
  /** The gateway's secret, which never leaves the master. */
  readonly token: string;
  /** Home of a node: `w1` … */
  homeOf(node: string): string;
  manage(...args: readonly string[]): Promise<Finished>;
  node(name: string): Promise<NodeView>;
  /** Waits until `list` has the node's node host in that state. */
  untilNodeHost(name: string, state: NodeHostState, withinMs?: number): Promise<NodeView>;
  /** The gateway's own `node.list`. */
  nodeList(): Promise<z.infer<typeof nodeListSchema>['nodes']['rows']>;
  /** Devices that the gateway knows. */
  devices(): Promise<string[]>;
  removeDevice(deviceId: string): Promise<void>;
  /** `system.which sh` on that device, through the gateway. */
  which(deviceId: string | null): Promise<unknown>;
  gatewayProcesses(): ProcessSeen[];
  /** The node host of a node and what started it. */
  nodeHostProcesses(node: string): ProcessSeen[];
  /** Starts a further worker daemon by hand, with a node host; it waits for approval. */
  startWorker(name: string): Running;
  stop(): Promise<Finished>;
}

const OPENCLAW = fileURLToPath(new URL('../../node_modules/.bin/openclaw', import.meta.url));
/** Less than a hook may take, so that what was started is stopped. */
const START_MS = 180_000;
const CONNECTED_MS = 120_000;
const LOOK_MS = 500;

export async function startSystem(workers: number): Promise<System> {
  // Without it these tests prove nothing.
  if (!existsSync(OPENCLAW)) throw new Error(`${OPENCLAW} is missing: npm ci`);
  const place = await makePlace();
  const directory = place.file('f');
  const home = join(directory, 'master');
  const local = (...args: string[]) => place.start('deploy-federation', ['local', '--dir', directory, ...args]);
  const starting = local('--workers', String(workers), '--openclaw', OPENCLAW, '--detach');
  const late = setTimeout(() => starting.kill('SIGKILL'), START_MS);
  const started = await starting.ended;
  clearTimeout(late);
  if (started.exitCode !== 0) {
    await local('--stop').ended;
    await place.remove();
    throw new Error(`the federation did not start: ${started.stderr}`);
  }
  const hub = JSON.parse(await readFile(join(home, 'hub.json'), 'utf8')) as HubRecord;
  const token = (await readFile(join(home, 'gateway-token'), 'utf8')).trim();

  async function manage(...args: readonly string[]): Promise<Finished> {
    return place.run('manage-federation', ['--home', home, ...args]);
  }

  async function ask<T>(...args: readonly string[]): Promise<T> {
    const { exitCode, stdout, stderr } = await manage('--json', ...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return JSON.parse(stdout) as T;
  }

  async function node(name: string): Promise<NodeView> {
    const nodes = await ask<NodeView[]>('list');
    const found = nodes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not in ${nodes.map((one) => one.name).join(', ')}`);
    return found;
  }

  const { url } = (await ask<{ gateway: { url: string } }>('status')).gateway;

  async function asOperator<T>(work: (gateway: GatewayConnection) => Promise<T>): Promise<T> {
    const { signal } = new AbortController();
    const gateway = await openConnection({ url, token, trusts: () => true, onEvent: () => undefined, signal });
    try {
      return await work(gateway);
    } finally {
      gateway.close();
    }
  }

  return {
    place,
    directory,
    hub,
    gatewayPort: Number(new URL(url).port),
    token,
    homeOf: (name) => join(directory, name),
    manage,
    node,
    untilNodeHost: (name, state, withinMs = CONNECTED_MS) =>
      until(
        `the node host of ${name} is ${state}`,
        async () => {
          const found = await node(name);
          if (found.openclaw.nodeHost === state) return found;
          await pause(LOOK_MS);
          return null;
        },
        withinMs,
      ),
    nodeList: () => asOperator(async (gateway) => (await gateway.request('node.list', {}, nodeListSchema)).nodes.rows),
    devices: () =>
      asOperator(async (gateway) => {
        const { paired } = await gateway.request('device.pair.list', {}, deviceListSchema);
        return paired.map(({ deviceId }) => deviceId);
      }),
    removeDevice: (deviceId) =>
      asOperator(async (gateway) => void (await gateway.request('device.pair.remove', { deviceId }, z.unknown()))),
    which: (nodeId) =>
      asOperator(async (gateway) => {
        const command = { command: 'system.which', params: { bins: ['sh'] }, timeoutMs: 10_000 };
        const request = { nodeId, ...command, idempotencyKey: crypto.randomUUID() };
        return (await gateway.request('node.invoke', request, invokeResultSchema, 15_000)).payload;
      }),
    gatewayProcesses: () => processesOf(join(home, 'openclaw', 'state')),
    nodeHostProcesses: (name) => processesOf(join(directory, name, 'openclaw')),
    startWorker: (name) =>
      place.start('federation-worker', ['--home', join(directory, name)], {
        env: {
          OPENCLAW_FEDERATION_NAME: name,
          OPENCLAW_FEDERATION_WORKER_HUB: `${hub.address}:${hub.port}`,
          OPENCLAW_FEDERATION_NODE_HOST_ENABLED: 'true',
          OPENCLAW_FEDERATION_NODE_HOST_OPENCLAW: OPENCLAW,
          OPENCLAW_FEDERATION_NODE_HOST_CARRIER_PORT: '0',
        },
      }),
    stop: () => local('--stop').ended,
  };
}
