import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { GatewayConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { DeviceRequest, GatewayRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';
import {
  deviceListSchema,
  deviceRequests,
  isAsSeen,
  surfaceListSchema,
  surfaceRequests,
} from '#src/adapters/openclaw/gateway-request.ts';

/** What became of a request that was seen. */
interface Standing {
  /** As it is pending now; null where it is not. */
  readonly pending: GatewayRequest | null;
  /** Whether the gateway has let in what the request asked for. */
  readonly approved: boolean;
}

type Gateway = Pick<GatewayConnection, 'request'>;

/**
 * Lets in what was seen. Looks again just before: throws OPENCLAW_REFUSED where it is no longer that, or is gone
 * without having been approved; HELD for one that would operate OpenClaw, which only OpenClaw's own command grants.
 */
export async function approve(gateway: Gateway, seen: GatewayRequest): Promise<void> {
  if (seen.kind === 'device' && seen.operates) throw operates(seen);
  const { pending, approved } = await standingOf(gateway, seen);
  if (pending === null) {
    if (approved) return;
    throw gone(seen);
  }
  if (!isAsSeen(seen, pending)) throw changed(seen);
  try {
    await gateway.request(`${methodsOf(seen)}.approve`, { requestId: seen.requestId }, z.unknown());
  } catch (error) {
    if (!isRefusal(error) || !(await standingOf(gateway, seen)).approved) throw error;
  }
}

/** Turns away what was seen. Throws OPENCLAW_REFUSED where somebody else has approved it meanwhile. */
export async function reject(gateway: Gateway, seen: GatewayRequest): Promise<void> {
  try {
    await gateway.request(`${methodsOf(seen)}.reject`, { requestId: seen.requestId }, z.unknown());
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const { pending, approved } = await standingOf(gateway, seen);
    if (pending !== null) throw error;
    if (approved) throw approvedMeanwhile(seen);
  }
}

/** Takes out the surface and the device; resolves when the gateway lists neither, also where it never did. */
export async function removeDevice(gateway: Gateway, deviceId: string): Promise<void> {
  const surface = await refusalOf(gateway.request('node.pair.remove', { nodeId: deviceId }, z.unknown()));
  const device = await refusalOf(gateway.request('device.pair.remove', { deviceId }, z.unknown()));
  // The refusal of an unknown device has no code of its own: what is listed decides.
  const [devices, surfaces] = await Promise.all([
    gateway.request('device.pair.list', {}, deviceListSchema),
    gateway.request('node.pair.list', {}, surfaceListSchema),
  ]);
  const isLeft =
    devices.paired.some((one) => one.deviceId === deviceId) || surfaces.paired.some((one) => one.nodeId === deviceId);
  if (isLeft) throw device ?? surface ?? stillThere();
}

function methodsOf({ kind }: GatewayRequest): string {
  return kind === 'device' ? 'device.pair' : 'node.pair';
}

function standingOf(gateway: Gateway, seen: GatewayRequest): Promise<Standing> {
  return seen.kind === 'device' ? deviceStanding(gateway, seen) : surfaceStanding(gateway, seen);
}

async function deviceStanding(gateway: Gateway, seen: DeviceRequest): Promise<Standing> {
  const list = await gateway.request('device.pair.list', {}, deviceListSchema);
  const pending = deviceRequests(list).find(({ requestId }) => requestId === seen.requestId) ?? null;
  const paired = list.paired.find(({ deviceId }) => deviceId === seen.deviceId);
  const isNode = paired?.role === 'node' || paired?.roles.includes('node') === true;
  // One that was paired before is so too where its new request was turned away.
  const approved = isNode && (!seen.isRepair || (paired?.approvedAtMs ?? 0) >= seen.askedAt);
  return { pending, approved };
}

async function surfaceStanding(gateway: Gateway, seen: SurfaceRequest): Promise<Standing> {
  const list = await gateway.request('node.pair.list', {}, surfaceListSchema);
  const pending = surfaceRequests(list).find(({ requestId }) => requestId === seen.requestId) ?? null;
  const paired = list.paired.find(({ nodeId }) => nodeId === seen.deviceId);
  const approved = paired !== undefined && seen.commands.every((command) => paired.commands.includes(command));
  return { pending, approved };
}

/** What the gateway said no with; null where it did as asked. */
async function refusalOf(answer: Promise<unknown>): Promise<FederationError | null> {
  try {
    await answer;
    return null;
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

function isRefusal(error: unknown): error is FederationError {
  return error instanceof FederationError && error.code === 'OPENCLAW_REFUSED';
}

const SHOW = 'manage-federation pending';

function gone({ kind }: GatewayRequest): FederationError {
  const what = kind === 'device' ? 'device request is gone: it expired or was rejected' : 'surface request is gone';
  return new FederationError('OPENCLAW_REFUSED', `the ${what}`, {
    hint: 'restart OpenClaw on that node, which then asks again',
  });
}

function changed({ kind }: GatewayRequest): FederationError {
  return new FederationError('OPENCLAW_REFUSED', `the ${kind} request is no longer the one that was shown`, {
    hint: SHOW,
  });
}

function operates({ requestId }: GatewayRequest): FederationError {
  return new FederationError('HELD', 'the device asks to operate OpenClaw too', {
    hint: `openclaw devices approve ${requestId}`,
  });
}

function approvedMeanwhile({ kind }: GatewayRequest): FederationError {
  return new FederationError('OPENCLAW_REFUSED', `the ${kind} request was approved meanwhile`, {
    hint: 'manage-federation revoke, to take the node out again',
  });
}

function stillThere(): FederationError {
  return new FederationError('OPENCLAW_REFUSED', 'the gateway still lists the device that it removed', {
    hint: 'manage-federation doctor',
  });
}
