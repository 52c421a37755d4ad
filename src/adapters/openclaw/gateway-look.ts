import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { nodeListSchema } from '#src/adapters/openclaw/gateway-node.ts';
import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import { deviceListSchema, requestsOf, surfaceListSchema } from '#src/adapters/openclaw/gateway-request.ts';

/** All that the gateway lists, at one moment. */
export interface Look {
  /** By device id. */
  readonly nodes: ReadonlyMap<string, GatewayNode>;
  readonly requests: readonly GatewayRequest[];
  /** How many entries could not be read. */
  readonly unread: number;
}

export const NOTHING: Look = { nodes: new Map(), requests: [], unread: 0 };

export async function lookAt(gateway: Pick<GatewayConnection, 'request'>): Promise<Look> {
  const [{ nodes }, devices, surfaces] = await Promise.all([
    gateway.request('node.list', {}, nodeListSchema),
    gateway.request('device.pair.list', {}, deviceListSchema),
    gateway.request('node.pair.list', {}, surfaceListSchema),
  ]);
  const requests = requestsOf(devices, surfaces);
  return {
    nodes: new Map(nodes.rows.map(({ nodeId, ...node }) => [nodeId, node])),
    requests: requests.rows,
    unread: nodes.unread + requests.unread,
  };
}

/** Whether both show the same; that a node was seen again is no difference. */
export function isSameLook(one: Look, other: Look): boolean {
  return textOf(one) === textOf(other);
}

function textOf({ nodes, requests }: Look): string {
  return JSON.stringify([[...nodes].map(([deviceId, node]) => [deviceId, { ...node, lastSeenAt: null }]), requests]);
}
