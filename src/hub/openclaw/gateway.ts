import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Gateway, GatewayStatus, MintedCode } from '#src/adapters/openclaw/gateway.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member, OpenClawDevice } from '#src/core/member.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';
import type { NodeHostState } from '#src/protocol/hub-api.ts';

/** What the hub does with OpenClaw's gateway for the members that run a node host. */
export interface GatewayDesk {
  status(): GatewayStatus | null;
  /** What the gateway itself says, never what we believe. */
  nodeHostState(member: Member): NodeHostState;
  commands(member: Member): readonly string[];
  /**
   * A code with which the member's node host joins. Throws FORBIDDEN unless the member offers a node host, or
   * where it asked less than CODE_INTERVAL_MS ago; LOCKED_DOWN, also where it was while the gateway answered;
   * GATEWAY_UNREACHABLE and OPENCLAW_REFUSED as the gateway does.
   */
  setupCode(member: Member, carrierPort: number): Promise<MintedCode>;
  /** The gateway took this device for the member's node host; one that it had before is removed there. */
  joined(member: Member, deviceId: string): Promise<void>;
  /** To be called after a revocation: devices that are to go are asked away at once, not at the next try. */
  sweep(): void;
  /** Resolves after `signal`. */
  readonly done: Promise<void>;
}

export interface GatewayDeskOptions {
  /** Null on a federation without OpenClaw. */
  readonly gateway: Gateway | null;
  readonly members: () => Iterable<Member>;
  readonly setDevice: (nodeId: string, device: OpenClawDevice | null) => Promise<void>;
  /** Whether nothing may join now: a lockdown. */
  readonly isShut?: () => boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export const CODE_INTERVAL_MS = 5000;
const RETRY: BackOff = { minMs: 1000, maxMs: 60_000, patientMs: 60_000 };

export function createGatewayDesk({
  gateway,
  members,
  setDevice,
  isShut = () => false,
  log,
  signal,
}: GatewayDeskOptions): GatewayDesk {
  const mintedAt = new Map<string, number>();
  /** Devices without a member that are still to go; not durable, for nothing leads them to the gateway. */
  const replaced = new Set<string>();
  let wake = (): void => undefined;

  const done = gateway === null ? Promise.resolve() : removeDevices(gateway);

  async function removeDevices(asked: Gateway): Promise<void> {
    const forget = asked.onChange(() => wake());
    for (let failures = 0; !signal.aborted;) {
      const woken = Promise.withResolvers<void>();
      wake = woken.resolve;
      const left = asked.status().state === 'connected' ? await removeOnce(asked) : 0;
      failures = left === 0 ? 0 : failures + 1;
      const waiting = new AbortController();
      const stop = { signal: AbortSignal.any([signal, waiting.signal]), ref: false };
      const delay = left === 0 ? RETRY.patientMs : retryDelayMs(RETRY, failures, Math.random());
      const tick = pause(delay, undefined, stop).catch(() => undefined);
      // After a failure the retry waits its time: the failure itself may be what changed.
      await (left === 0 ? Promise.race([tick, woken.promise]) : tick);
      waiting.abort();
    }
    forget();
  }

  /** Returns how many devices are still there. */
  async function removeOnce(asked: Gateway): Promise<number> {
    let left = 0;
    const remove = async (deviceId: string, record: () => Promise<void>): Promise<void> => {
      try {
        await asked.removeDevice(deviceId);
        await record();
        log.info('the gateway removed a device', { device: deviceId });
      } catch (error) {
        left += 1;
        log.warn('a device is still at the gateway; it is tried again', { device: deviceId, problem: String(error) });
      }
    };
    for (const { id, openclaw } of Array.from(members())) {
      if (openclaw?.removing === true) await remove(openclaw.deviceId, () => setDevice(id, null));
    }
    for (const deviceId of replaced) {
      await remove(deviceId, async () => void replaced.delete(deviceId));
    }
    return left;
  }

  function nodeHostState(member: Member): NodeHostState {
    if (!offersNodeHost(member)) return 'none';
    if (gateway === null || gateway.status().state !== 'connected') return 'unknown';
    const node = deviceOf(gateway, member);
    if (node === undefined) return 'unpaired';
    return node.connected ? 'connected' : 'disconnected';
  }

  function checkPace(nodeId: string): void {
    const now = performance.now();
    for (const [id, at] of mintedAt) if (now - at >= CODE_INTERVAL_MS) mintedAt.delete(id);
    if (mintedAt.has(nodeId)) {
      throw new FederationError('FORBIDDEN', 'a setup code was given out a moment ago', { hint: 'ask again in 5 s' });
    }
    mintedAt.set(nodeId, now);
  }

  function memberNow(member: Member): Member {
    return Array.from(members()).find(({ id }) => id === member.id) ?? { ...member, revokedAt: 0 };
  }

  function refuseClosed(member: Member): void {
    if (isShut()) {
      throw new FederationError('LOCKED_DOWN', 'the federation is locked down; no node host joins', {
        hint: 'manage-federation lockdown --lift',
      });
    }
    if (!offersNodeHost(member) || member.revokedAt !== null) {
      throw new FederationError('FORBIDDEN', `${member.name} offers no node host`, {
        hint: 'set nodeHost.enabled on that node and restart its worker daemon',
      });
    }
  }

  return {
    status: () => gateway?.status() ?? null,
    nodeHostState,
    commands(member) {
      if (gateway === null || !offersNodeHost(member)) return [];
      return deviceOf(gateway, member)?.commands ?? [];
    },
    async setupCode(member, carrierPort) {
      refuseClosed(member);
      if (gateway === null) {
        throw new FederationError('GATEWAY_UNREACHABLE', 'this hub has no OpenClaw gateway', {
          hint: 'set gateway.url on the master',
        });
      }
      checkPace(member.id);
      const minted = await gateway.mintSetupCode(carrierPort);
      // Revoked or locked down meanwhile: the code is told to nobody.
      refuseClosed(memberNow(member));
      return minted;
    },
    async joined(member, deviceId) {
      const before = member.openclaw;
      // It was revoked while it joined: what the gateway let in goes again.
      const removing = member.revokedAt !== null;
      if (before?.deviceId === deviceId && before.removing === removing) return;
      if (before !== null && before.deviceId !== deviceId) replaced.add(before.deviceId);
      await setDevice(member.id, { deviceId, removing });
      wake();
    },
    sweep: () => wake(),
    done,
  };
}

export function offersNodeHost(member: Member): boolean {
  return member.facts.offers.includes('node-host');
}

function deviceOf(gateway: Gateway, { openclaw }: Member) {
  if (openclaw === null || openclaw.removing) return undefined;
  return gateway.nodes().get(openclaw.deviceId);
}
