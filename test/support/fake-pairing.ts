import { randomUUID } from 'node:crypto';
import type { FakeGateway } from './fake-gateway.ts';

type Row = Readonly<Record<string, unknown>>;

interface Paired {
  readonly deviceId: string;
  readonly approvedAtMs: number;
  /** The key and the machine that it was paired as. */
  readonly identity: Row;
  /** Whether somebody has revoked its token, after which it has to ask again. */
  isTokenRevoked: boolean;
  /** The commands that were approved; null before. */
  surface: readonly string[] | null;
  pendingSurface: (Row & { readonly requestId: string; readonly commands: readonly string[] }) | null;
  connected: boolean;
  displayName: string;
}

/** OpenClaw's pairing as the gateway of 2026.9.6 does it, on top of a fake gateway. */
export interface FakePairing {
  /** A device asks to be paired, or asks again; returns its request's id. */
  asks(deviceId: string, said?: Row): string;
  /** A paired node connects and offers commands; returns the request's id where they wait for an approval. */
  offers(deviceId: string, commands: readonly string[], said?: Row): string | null;
  /** What somebody else does at the gateway; false where it is of no request. */
  approves(requestId: string): boolean;
  rejects(requestId: string): boolean;
  /** Five minutes without an attempt. */
  expires(requestId: string): void;
  readonly paired: ReadonlyMap<string, Paired>;
}

type Answer = { readonly ok: true; readonly payload: object } | { readonly ok: false; readonly error: object };

export function fakePairing(fake: FakeGateway): FakePairing {
  const pending = new Map<string, Row & { readonly deviceId: string }>();
  const paired = new Map<string, Paired>();
  let now = Date.now();

  function approveDevice(requestId: string): boolean {
    const request = pending.get(requestId);
    if (request === undefined) return false;
    pending.delete(requestId);
    const { deviceId } = request;
    const before = paired.get(deviceId);
    paired.set(deviceId, {
      deviceId,
      approvedAtMs: ++now,
      identity: {
        publicKey: request['publicKey'],
        platform: request['platform'],
        deviceFamily: request['deviceFamily'],
      },
      isTokenRevoked: false,
      surface: before?.surface ?? null,
      pendingSurface: before?.pendingSurface ?? null,
      connected: false,
      displayName: String(request['displayName']),
    });
    fake.announce('device.pair.resolved');
    return true;
  }

  function withSurface(requestId: string): Paired | undefined {
    return [...paired.values()].find(({ pendingSurface }) => pendingSurface?.requestId === requestId);
  }

  function approveSurface(requestId: string): boolean {
    const device = withSurface(requestId);
    if (device === undefined) return false;
    device.surface = device.pendingSurface?.commands ?? [];
    device.pendingSurface = null;
    fake.announce('node.pair.resolved');
    return true;
  }

  function rejectDevice(requestId: string): boolean {
    if (!pending.delete(requestId)) return false;
    fake.announce('device.pair.resolved');
    return true;
  }

  function rejectSurface(requestId: string): boolean {
    const device = withSurface(requestId);
    if (device === undefined) return false;
    device.pendingSurface = null;
    fake.announce('node.pair.resolved');
    return true;
  }

  function remove(deviceId: string): boolean {
    for (const [requestId, request] of pending) if (request.deviceId === deviceId) pending.delete(requestId);
    return paired.delete(deviceId);
  }

  const byRequest = (act: (requestId: string) => boolean) => (params: Row) => answer(act(String(params['requestId'])));
  const { answers } = fake;
  answers.set('device.pair.approve', byRequest(approveDevice));
  answers.set('device.pair.reject', byRequest(rejectDevice));
  answers.set('node.pair.approve', byRequest(approveSurface));
  answers.set('node.pair.reject', byRequest(rejectSurface));
  answers.set('device.pair.remove', ({ deviceId }) => answer(remove(String(deviceId))));
  answers.set('node.pair.remove', ({ nodeId }) => answer(remove(String(nodeId))));
  answers.set('node.rename', ({ nodeId, displayName }) => {
    const device = paired.get(String(nodeId));
    if (device?.surface === null || device === undefined) return answer(false);
    device.displayName = String(displayName);
    return answer(true);
  });
  answers.set('device.pair.list', () => ({
    ok: true,
    payload: {
      pending: [...pending.values()],
      paired: [...paired.values()].map(({ deviceId, identity, approvedAtMs, isTokenRevoked }) => ({
        deviceId,
        ...identity,
        approvedAtMs,
        role: 'node',
        roles: ['node'],
        tokens: [{ role: 'node', scopes: [], createdAtMs: 1, ...(isTokenRevoked ? { revokedAtMs: 2 } : {}) }],
      })),
    },
  }));
  answers.set('node.pair.list', () => ({
    ok: true,
    payload: {
      pending: [...paired.values()].flatMap(({ pendingSurface }) => (pendingSurface === null ? [] : [pendingSurface])),
      paired: [...paired.values()].flatMap(({ deviceId, surface }) =>
        surface === null ? [] : [{ nodeId: deviceId, commands: surface }],
      ),
    },
  }));
  answers.set('node.list', () => ({ ok: true, payload: { nodes: [...paired.values()].map(nodeRow) } }));

  return {
    asks(deviceId, said = {}) {
      const again = [...pending].find(([, request]) => request.deviceId === deviceId);
      const requestId = again?.[0] ?? randomUUID();
      const first = {
        publicKey: `key of ${deviceId}`,
        displayName: 'phone',
        platform: 'linux',
        deviceFamily: 'Linux',
        role: 'node',
        roles: ['node'],
        scopes: [],
        silent: false,
        isRepair: paired.has(deviceId),
        ts: ++now,
      };
      // When it asked again is not listed.
      const kept = again?.[1] ?? first;
      pending.set(requestId, { ...kept, requestId, deviceId, ...said });
      if (again === undefined) fake.announce('device.pair.requested');
      return requestId;
    },
    offers(deviceId, commands, said = {}) {
      const device = paired.get(deviceId);
      if (device === undefined) throw new Error(`${deviceId} is not paired`);
      device.connected = true;
      if (device.surface !== null && commands.every((command) => device.surface?.includes(command))) {
        fake.announce('presence');
        return null;
      }
      const requestId = randomUUID();
      const { displayName } = device;
      const offered = { displayName, platform: 'linux', deviceFamily: 'Linux', version: '2026.9.6', caps: ['system'] };
      device.pendingSurface = { requestId, nodeId: deviceId, ...offered, commands, ts: ++now, ...said };
      fake.announce('node.pair.requested');
      return requestId;
    },
    approves: (requestId) => approveDevice(requestId) || approveSurface(requestId),
    rejects: (requestId) => rejectDevice(requestId) || rejectSurface(requestId),
    expires: (requestId) => void pending.delete(requestId),
    paired,
  };
}

function nodeRow({ deviceId, surface, pendingSurface, connected, displayName }: Paired): object {
  const waits = surface === null ? 'pending-approval' : 'pending-reapproval';
  const decided = surface === null ? 'unapproved' : 'approved';
  return {
    nodeId: deviceId,
    displayName,
    platform: 'linux',
    version: '2026.9.6',
    paired: true,
    connected,
    commands: surface ?? [],
    approvalState: pendingSurface === null ? decided : waits,
    ...(pendingSurface === null ? {} : { pendingRequestId: pendingSurface.requestId }),
    lastSeenAtMs: 1_000_000,
  };
}

function answer(known: boolean): Answer {
  if (known) return { ok: true, payload: {} };
  return { ok: false, error: { code: 'INVALID_REQUEST', message: 'unknown requestId' } };
}
