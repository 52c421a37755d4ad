import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import type { DeviceRequest } from '#src/adapters/openclaw/gateway-request.ts';

export const DEVICE = 'd'.repeat(64);

/** What the gateway lists of a node host that is there and can be used. */
export function aGatewayNode(changed: Partial<GatewayNode> = {}): GatewayNode {
  return {
    connected: true,
    commands: ['system.which'],
    approvalState: 'approved',
    displayName: 'home-server',
    platform: 'linux',
    version: '2026.9.6',
    remoteIp: null,
    paired: true,
    pendingRequestId: null,
    lastSeenAt: 0,
    ...changed,
  };
}

const ASKED = {
  deviceId: DEVICE,
  displayName: 'phone',
  platform: 'linux',
  deviceFamily: 'Linux',
  remoteIp: null,
  isRepair: false,
};

export function aDeviceRequest(changed: Partial<DeviceRequest> = {}): DeviceRequest {
  return {
    ...ASKED,
    kind: 'device',
    requestId: 'device-request-1',
    publicKey: 'p'.repeat(43),
    operates: false,
    version: null,
    commands: null,
    caps: [],
    askedAt: 1_000_000,
    expiresAt: 1_300_000,
    ...changed,
  };
}
