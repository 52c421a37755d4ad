import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { AtGateway, Member, OpenSetupCode } from '#src/core/member.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';

/** What changes of a member's devices and codes; it is given the member as it is in its turn. */
export type ChangeAtGateway = (
  nodeId: string,
  change: (member: Member) => Partial<AtGateway>,
  /** The device that is put out, and why, where the audit is to tell it. */
  putOut?: { readonly deviceId: string; readonly problem: string },
) => Promise<void>;

export interface DeviceSweepOptions {
  readonly gateway: Gateway;
  readonly members: () => Iterable<Member>;
  readonly change: ChangeAtGateway;
  readonly isShut: () => boolean;
  readonly greetMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Takes the members' devices out of the gateway that are to go, and those that came in by a member's setup code alone. */
export interface DeviceSweep {
  wake(): void;
  /** Resolves after `signal`. */
  readonly done: Promise<void>;
}

const RETRY: BackOff = { minMs: 1000, maxMs: 60_000, patientMs: 60_000 };
/** How long a code is watched beyond its end: what used it in its last moment is told of a little later. */
const CODE_GRACE_MS = 60_000;

export function sweepDevices(options: DeviceSweepOptions): DeviceSweep {
  const { gateway, members, change, isShut, greetMs, log, signal } = options;
  /** By setup id: when it was first seen that a device had used it; monotonic milliseconds. */
  const usedAt = new Map<string, number>();
  let wake = (): void => undefined;
  /** Whether somebody called while nobody waited. */
  let isCalled = false;

  function call(): void {
    isCalled = true;
    wake();
  }

  async function run(): Promise<void> {
    const forget = gateway.onChange(call);
    for (let failures = 0; !signal.aborted;) {
      const woken = Promise.withResolvers<void>();
      wake = woken.resolve;
      isCalled = false;
      const { left, nextMs } = gateway.status().state === 'connected' ? await sweep() : { left: 0, nextMs: Infinity };
      failures = left === 0 ? 0 : failures + 1;
      const waiting = new AbortController();
      const stop = { signal: AbortSignal.any([signal, waiting.signal]), ref: false };
      const delay = left === 0 ? Math.min(RETRY.patientMs, nextMs) : retryDelayMs(RETRY, failures, Math.random());
      if (left > 0 || !isCalled) {
        const tick = pause(delay, undefined, stop).catch(() => undefined);
        // After a failure the retry waits its time: the failure itself may be what changed.
        await (left === 0 ? Promise.race([tick, woken.promise]) : tick);
      }
      waiting.abort();
    }
    forget();
  }

  /** How many things could not be done, and in how many milliseconds there is more to look at. */
  async function sweep(): Promise<{ left: number; nextMs: number }> {
    let left = 0;
    let nextMs = Infinity;
    const tried = async (device: string, work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        left += 1;
        log.warn('a device is still at the gateway; it is tried again', { device, problem: String(error) });
      }
    };
    for (const { id, setupCodes } of Array.from(members())) {
      for (const code of setupCodes) {
        await tried('unknown', async () => {
          nextMs = Math.min(nextMs, await follow(id, code));
        });
      }
    }
    for (const { id, openclaw, leaving } of Array.from(members())) {
      if (openclaw?.removing === true) await tried(openclaw.deviceId, () => remove(id, openclaw.deviceId));
      for (const deviceId of leaving) await tried(deviceId, () => remove(id, deviceId));
    }
    return { left, nextMs };
  }

  async function remove(nodeId: string, deviceId: string): Promise<void> {
    await gateway.removeDevice(deviceId);
    await change(nodeId, ({ openclaw, leaving }) => ({
      openclaw: openclaw?.deviceId === deviceId && openclaw.removing ? null : openclaw,
      leaving: leaving.filter((one) => one !== deviceId),
    }));
    log.info('the gateway removed a device', { device: deviceId });
  }

  /**
   * A setup code is good for whoever has it: a device that used it is the member's only where the carrier greeted it for
   * that member. Returns the milliseconds until there is more to see.
   */
  async function follow(nodeId: string, { setupId, expiresAt }: OpenSetupCode): Promise<number> {
    const deviceId = await gateway.setupCodeUser(setupId);
    const member = Array.from(members()).find(({ id }) => id === nodeId);
    if (member === undefined) return Infinity;
    if (deviceId === null) {
      if (Date.now() > expiresAt + CODE_GRACE_MS) await change(nodeId, without(setupId));
      return Infinity;
    }
    const isOwn = member.openclaw?.deviceId === deviceId;
    const seenAt = usedAt.get(setupId) ?? performance.now();
    usedAt.set(setupId, seenAt);
    const leftMs = seenAt + greetMs - performance.now();
    if (!isOwn && leftMs > 0 && member.revokedAt === null && !isShut()) return leftMs;
    usedAt.delete(setupId);
    if (isOwn) await change(nodeId, without(setupId));
    else {
      const problem = 'it used a setup code of this node and did not come through its carrier';
      const leave = (now: Member) => ({ ...without(setupId)(now), leaving: [...now.leaving, deviceId] });
      await change(nodeId, leave, { deviceId, problem });
      log.warn('a device that used the setup code of a node is put out', { node: member.name, device: deviceId });
    }
    return Infinity;
  }

  return { wake: call, done: run() };
}

function without(setupId: string): (member: Member) => Pick<AtGateway, 'setupCodes'> {
  return ({ setupCodes }) => ({ setupCodes: setupCodes.filter((one) => one.setupId !== setupId) });
}
