import type { Log } from '#src/adapters/log.ts';
import type { Gateway, GatewayStatus, MintedCode } from '#src/adapters/openclaw/gateway.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { ChangeAtGateway } from '#src/hub/openclaw/device-sweep.ts';
import { sweepDevices } from '#src/hub/openclaw/device-sweep.ts';
import type { NodeHostState } from '#src/protocol/hub-api/node.ts';

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
  readonly change: ChangeAtGateway;
  /** Whether nothing may join now: a lockdown. */
  readonly isShut?: () => boolean;
  /** How long after a setup code was used the carrier may still greet the device. */
  readonly greetMs?: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export const CODE_INTERVAL_MS = 5000;
const GREET_MS = 5000;

export function createGatewayDesk({
  gateway,
  members,
  change,
  isShut = () => false,
  greetMs = GREET_MS,
  log,
  signal,
}: GatewayDeskOptions): GatewayDesk {
  const mintedAt = new Map<string, number>();
  const sweep =
    gateway === null
      ? { wake: () => undefined, done: Promise.resolve() }
      : sweepDevices({ gateway, members, change, isShut, greetMs, log, signal });

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
      const { setupId, expiresAt } = minted;
      await change(member.id, ({ setupCodes }) => ({ setupCodes: [...setupCodes, { setupId, expiresAt }] }));
      // Revoked or locked down meanwhile: the code is told to nobody.
      refuseClosed(memberNow(member));
      return minted;
    },
    async joined(member, deviceId) {
      const { openclaw: known, revokedAt: outAt } = member;
      if (known?.deviceId === deviceId && known.removing === (outAt !== null)) return;
      await change(member.id, ({ openclaw, revokedAt, leaving }) => {
        const before = openclaw === null || openclaw.deviceId === deviceId ? [] : [openclaw.deviceId];
        return {
          // It was revoked while it joined: what the gateway let in goes again.
          openclaw: { deviceId, removing: revokedAt !== null },
          leaving: [...leaving.filter((one) => one !== deviceId), ...before],
        };
      });
      sweep.wake();
    },
    sweep: () => sweep.wake(),
    done: sweep.done,
  };
}

export function offersNodeHost(member: Member): boolean {
  return member.facts.offers.includes('node-host');
}

function deviceOf(gateway: Gateway, { openclaw }: Member) {
  if (openclaw === null || openclaw.removing) return undefined;
  return gateway.nodes().get(openclaw.deviceId);
}
