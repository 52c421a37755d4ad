import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { Change } from '#src/adapters/store/store.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { OpenClawRecords } from '#src/hub/openclaw/records.ts';
import type { Look, Looks } from '#src/hub/openclaw/requests.ts';
import { detailOf } from '#src/hub/openclaw/requests.ts';
import type { Standing } from '#src/hub/openclaw/standing.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { retryDelayMs } from '#src/link/back-off.ts';

/** Carries out at the gateway what was decided, whenever it is there. */
export interface Follower {
  /** Something was decided. */
  wake(): void;
  /**
   * Takes a device out whose revocation could not be kept, and keeps it: tried until both are done, it was let in anew,
   * or the hub stops.
   */
  putOut(node: OpenClawNode, audit: Change): void;
  /** Resolves after `signal`. */
  readonly done: Promise<void>;
}

export interface FollowerOptions {
  readonly gateway: Gateway;
  readonly records: OpenClawRecords;
  readonly looks: Looks;
  readonly standing: Standing;
  readonly membership: Pick<MembershipKeeper, 'now' | 'record'>;
  /** One decision after the other. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Those that are new, or ask for something else, and wait for a decision. */
  readonly onNews: (look: Look) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const RETRY: BackOff = { minMs: 1000, maxMs: 60_000, patientMs: 60_000 };
/** A device that was let in and is neither listed nor asks; longer than the gateway keeps a request. */
const GONE_MS = 600_000;

export function followGateway(options: FollowerOptions): Follower {
  const { gateway, records, looks, standing, membership, inTurn, onNews, log, signal } = options;
  let wake = (): void => undefined;
  let wasAway = false;
  /** By device id. */
  const unkept = new Map<string, { readonly node: OpenClawNode; readonly audit: Change; isGone: boolean }>();

  async function follow(): Promise<void> {
    const forget = gateway.onChange(() => {
      if (gateway.status().state !== 'connected') wasAway = true;
      wake();
    });
    for (let failures = 0; !signal.aborted;) {
      const woken = Promise.withResolvers<void>();
      wake = woken.resolve;
      const left = gateway.status().state === 'connected' ? await inTurn(tend).catch(failed) : 0;
      failures = left === 0 ? 0 : failures + 1;
      const waiting = new AbortController();
      const stop = { signal: AbortSignal.any([signal, waiting.signal]), ref: false };
      const delay = left === 0 ? RETRY.patientMs : retryDelayMs(RETRY, failures, Math.random());
      await Promise.race([pause(delay, undefined, stop).catch(() => undefined), woken.promise]);
      waiting.abort();
    }
    forget();
    // What somebody waits for still.
    await inTurn(async () => undefined);
  }

  function failed(error: unknown): number {
    log.warn('OpenClaw’s nodes could not be looked after; it is tried again', { problem: String(error) });
    return 1;
  }

  /** Returns how much is left to do. */
  async function tend(): Promise<number> {
    // Who decides could not do it meanwhile, and is told of all anew.
    if (wasAway) looks.forget();
    wasAway = false;
    const news = await looks.update(gateway.requests());
    const decided = looks.all().filter((look) => standing.isDecided(look));
    let left = looks.all().filter(({ isIdentified }) => !isIdentified).length;
    for (const look of decided) left += await tried(look.asked.deviceId, () => finish(look));
    for (const node of records.current()) {
      if (node.removing) left += await tried(node.deviceId, () => remove(node));
    }
    for (const { node } of [...unkept.values()]) left += await tried(node.deviceId, () => putOut(node.deviceId));
    await forgetGone();
    for (const look of news) if (!standing.isDecided(look)) onNews(look);
    return left;
  }

  async function tried(device: string, work: () => Promise<void>): Promise<0 | 1> {
    try {
      await work();
      return 0;
    } catch (error) {
      log.warn('the gateway has not done yet what was decided; it is tried again', { device, problem: String(error) });
      return 1;
    }
  }

  async function finish(look: Look): Promise<void> {
    const { asked } = look;
    if (asked.kind === 'device') return gateway.approveDevice(asked);
    const node = records.get(asked.deviceId);
    if (node !== undefined && node.commands === null) {
      const audit = membership.record('node.approve', node.approvedBy, detailOf(look));
      await records.put([{ ...node, commands: asked.commands }], [audit]);
    }
    await gateway.approveSurface(asked);
    log.info('the commands of a node that was let in are approved', { device: asked.deviceId });
  }

  async function remove(node: OpenClawNode): Promise<void> {
    await gateway.removeDevice(node.deviceId);
    await records.put([{ ...node, removing: false }], []);
    log.info('the gateway removed a device', { device: node.deviceId });
  }

  async function putOut(deviceId: string): Promise<void> {
    const owed = unkept.get(deviceId);
    if (owed === undefined) return;
    const { node, audit } = owed;
    const isInAnew = (records.get(deviceId)?.approvedAt ?? 0) > (node.revokedAt ?? 0);
    if (!isInAnew) {
      if (!owed.isGone) await gateway.removeDevice(deviceId);
      owed.isGone = true;
      await records.put([{ ...node, removing: false }], [audit]);
    }
    unkept.delete(deviceId);
  }

  /** One that was taken out at the gateway itself has to be approved anew. */
  async function forgetGone(): Promise<void> {
    const known = new Set([...gateway.nodes().keys(), ...gateway.requests().map(({ deviceId }) => deviceId)]);
    for (const { deviceId, name, approvedAt, removing } of records.current()) {
      if (removing || known.has(deviceId) || membership.now() - approvedAt < GONE_MS) continue;
      const detail = { kind: 'device', node: name, id: deviceId, problem: 'it is gone from the gateway' };
      await records.drop(deviceId, [membership.record('node.revoke', 'gateway', detail)]);
    }
  }

  return {
    wake: () => wake(),
    putOut(node, audit) {
      unkept.set(node.deviceId, { node, audit, isGone: false });
      wake();
    },
    done: follow(),
  };
}
