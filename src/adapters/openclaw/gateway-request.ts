import { z } from 'zod';
import type { Readable } from '#src/adapters/openclaw/gateway-bounds.ts';
import { address, claim, id, moment, names, readable } from '#src/adapters/openclaw/gateway-bounds.ts';

interface Asked {
  readonly requestId: string;
  readonly deviceId: string;
  /** Hostile text, as all that a device says of itself. */
  readonly displayName: string | null;
  readonly platform: string | null;
  readonly deviceFamily: string | null;
  /** Of the peer; null for loopback. */
  readonly remoteIp: string | null;
  readonly caps: readonly string[];
  /** Whether the gateway has let in the device, or a surface of it, before. */
  readonly isRepair: boolean;
  /** Milliseconds since the epoch. */
  readonly askedAt: number;
}

/**
 * A device that asks to be paired as a node: with no scope, or with those of an operator where it wants to be one, too.
 * Of all others the gateway decides alone.
 */
export interface DeviceRequest extends Asked {
  readonly kind: 'device';
  readonly publicKey: string;
  /** Whether it asks to operate OpenClaw too: the gateway makes one request of both, and one approval grants both. */
  readonly operates: boolean;
  readonly version: null;
  /** Not known before its surface. */
  readonly commands: null;
  /**
   * Milliseconds since the epoch. The gateway forgets it five minutes after the last attempt and tells the time of the
   * first one alone: null where it has lived longer, because the device asked again at a time that nobody knows.
   */
  readonly expiresAt: number | null;
}

/** The commands that a paired node offers. It waits until it is decided. */
export interface SurfaceRequest extends Asked {
  readonly kind: 'surface';
  readonly version: string | null;
  readonly commands: readonly string[];
  readonly expiresAt: null;
}

export type GatewayRequest = DeviceRequest | SurfaceRequest;

/** DEVICE_PAIRING_PENDING_TTL_MS of OpenClaw 2026.9.6. */
const DEVICE_MS = 300_000;

const roles = z.array(z.string()).default([]);

const deviceSchema = z.object({
  requestId: id,
  deviceId: id,
  publicKey: id,
  displayName: claim,
  platform: claim,
  deviceFamily: claim,
  remoteIp: address,
  role: z.string().nullable().default(null),
  roles,
  scopes: roles,
  isRepair: z.boolean().default(false),
  ts: moment,
});
type DeviceRow = z.infer<typeof deviceSchema>;

const surfaceSchema = z.object({
  requestId: id,
  nodeId: id,
  displayName: claim,
  platform: claim,
  deviceFamily: claim,
  version: claim,
  remoteIp: address,
  caps: names,
  commands: names,
  ts: moment,
});

const pairedSchema = z.object({
  deviceId: z.string(),
  publicKey: z.string().nullable().catch(null),
  platform: claim,
  deviceFamily: claim,
  role: z.string().nullable().default(null),
  roles,
  approvedAtMs: moment.catch(0),
  tokens: z.array(z.object({ role: z.string(), revokedAtMs: moment.nullable().default(null) })).catch([]),
});
type PairedRow = z.infer<typeof pairedSchema>;

/** `device.pair.list`. Of the paired every one is needed, to say for sure that one is gone. */
export const deviceListSchema = z.object({ pending: readable(deviceSchema), paired: z.array(pairedSchema) });
export type DeviceList = z.infer<typeof deviceListSchema>;

/** `node.pair.list`: the surfaces. */
export const surfaceListSchema = z.object({
  pending: readable(surfaceSchema),
  paired: z.array(z.object({ nodeId: z.string(), commands: z.array(z.string()).catch([]) })),
});
export type SurfaceList = z.infer<typeof surfaceListSchema>;

/** What waits for a decision, the oldest first. */
export function requestsOf(devices: DeviceList, surfaces: SurfaceList): Readable<GatewayRequest> {
  const rows = [...deviceRequests(devices), ...surfaceRequests(surfaces)];
  rows.sort((one, other) => one.askedAt - other.askedAt || (one.requestId < other.requestId ? -1 : 1));
  return { rows, unread: devices.pending.unread + surfaces.pending.unread };
}

/** Those that wait for a decision: not what the gateway has let in already. */
export function deviceRequests({ pending, paired }: DeviceList): DeviceRequest[] {
  const devices = new Map(paired.map((device) => [device.deviceId, device]));
  const waiting = pending.rows.filter((row) => isNode(row) && !isPairedAs(row, devices.get(row.deviceId)));
  return waiting.map((row) => ({
    kind: 'device',
    requestId: row.requestId,
    deviceId: row.deviceId,
    publicKey: row.publicKey,
    operates: rolesOf(row).has('operator'),
    displayName: row.displayName,
    platform: row.platform,
    deviceFamily: row.deviceFamily,
    version: null,
    remoteIp: row.remoteIp,
    commands: null,
    caps: [],
    isRepair: row.isRepair,
    askedAt: row.ts,
    expiresAt: row.ts + DEVICE_MS > Date.now() ? row.ts + DEVICE_MS : null,
  }));
}

function isNode(row: DeviceRow): boolean {
  const asked = rolesOf(row);
  if (!asked.delete('node')) return false;
  return asked.size === 0
    ? row.role === 'node' && row.scopes.length === 0
    : asked.delete('operator') && asked.size === 0;
}

/**
 * Whether the device is paired as it asks to be. One that asks while its approval is carried out is connected at once and
 * leaves such a request behind. To approve that would do harm: the gateway then gives the device a new token and, before
 * its first surface, takes its connection for nobody's without closing it, so that it never comes back by itself.
 */
function isPairedAs(row: DeviceRow, device: PairedRow | undefined): boolean {
  if (device === undefined || device.publicKey !== row.publicKey || rolesOf(row).has('operator')) return false;
  const isIn = device.tokens.some(({ role, revokedAtMs }) => role === 'node' && revokedAtMs === null);
  // Under another platform it is asked who it is anew.
  const isPinned = (pinned: string | null, said: string | null) => pinned === null || pinned === said;
  return (
    isIn &&
    rolesOf(device).has('node') &&
    isPinned(device.platform, row.platform) &&
    isPinned(device.deviceFamily, row.deviceFamily)
  );
}

function rolesOf({ role, roles: all }: Pick<DeviceRow | PairedRow, 'role' | 'roles'>): Set<string> {
  return new Set(role === null ? all : [role, ...all]);
}

export function surfaceRequests({ pending, paired }: SurfaceList): SurfaceRequest[] {
  const approved = new Set(paired.map(({ nodeId }) => nodeId));
  return pending.rows.map(({ nodeId, ts, ...said }) => ({
    kind: 'surface',
    deviceId: nodeId,
    ...said,
    isRepair: approved.has(nodeId),
    askedAt: ts,
    expiresAt: null,
  }));
}

/**
 * Whether `now` is what was seen and judged, asks for no more, and still says the same of itself: under the same id
 * a request can take another name or come from elsewhere.
 */
export function isAsSeen(seen: GatewayRequest, now: GatewayRequest): boolean {
  return claimsOf(seen) === claimsOf(now) && isWithin(now.commands, seen.commands) && isWithin(now.caps, seen.caps);
}

function claimsOf(request: GatewayRequest): string {
  const { kind, requestId, deviceId, displayName, platform, deviceFamily, version, remoteIp } = request;
  const wanted = request.kind === 'device' ? [request.publicKey, request.operates] : null;
  return JSON.stringify([
    [kind, requestId, deviceId, wanted],
    [displayName, platform, deviceFamily, version, remoteIp],
  ]);
}

function isWithin(asked: readonly string[] | null, ceiling: readonly string[] | null): boolean {
  return asked === null || asked.every((one) => ceiling?.includes(one) === true);
}
