import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '#src/adapters/log.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import { OPENCLAW, freePort, until } from './small-federation.ts';

/** The real gateway that approves nothing by itself, and our connection to it. */
export interface OwnGateway {
  readonly gateway: Gateway;
  readonly directory: string;
  readonly url: string;
  readonly port: number;
  readonly token: string;
  /** What the gateway and our side of the connection have logged. */
  readonly lines: readonly string[];
  /** Stops it, waits until that shows, and starts it with all that it knew. */
  restart(): Promise<void>;
  /** Waits for the first request of that kind. */
  request<Kind extends GatewayRequest['kind']>(kind: Kind): Promise<GatewayRequest & { kind: Kind }>;
  requests(count: number): Promise<readonly GatewayRequest[]>;
  /** Waits until the node is listed so; null: not at all. */
  node(deviceId: string, is: Partial<GatewayNode> | null): Promise<void>;
  close(): Promise<void>;
}

export async function ownGateway(): Promise<OwnGateway> {
  const directory = await mkdtemp(join(tmpdir(), 'ocf-pairing-'));
  const port = await freePort();
  const token = randomBytes(32).toString('base64url');
  const stopping = new AbortController();
  const { signal } = stopping;
  const lines: string[] = [];
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
  const where = { directory: join(directory, 'gateway'), port, token, openclaw: OPENCLAW };
  const start = () => startGateway({ ...where, log: log.child('openclaw'), signal });
  let running = await start();
  const gateway = connectGateway({ url: running.url, token: () => token, trusts: () => true, log, signal });

  const first = (kind: string) => gateway.requests().find((request) => request.kind === kind);
  return {
    gateway,
    directory,
    url: running.url,
    port,
    token,
    lines,
    async restart() {
      await running.stop();
      await until(
        () => gateway.status().state === 'disconnected',
        () => gateway.status(),
      );
      running = await start();
    },
    async request<Kind extends GatewayRequest['kind']>(kind: Kind) {
      await until(
        () => first(kind) !== undefined,
        () => gateway.requests(),
      );
      return first(kind) as GatewayRequest & { kind: Kind };
    },
    async requests(count) {
      await until(
        () => gateway.requests().length === count,
        () => gateway.requests(),
      );
      return gateway.requests();
    },
    node: (deviceId, is) =>
      until(
        () => isSo(gateway.nodes().get(deviceId), is),
        () => [...gateway.nodes()],
      ),
    async close() {
      stopping.abort();
      await gateway.close();
      await running.stop();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function isSo(node: GatewayNode | undefined, is: Partial<GatewayNode> | null): boolean {
  if (node === undefined || is === null) return node === undefined && is === null;
  return JSON.stringify({ ...node, ...is }) === JSON.stringify(node);
}
