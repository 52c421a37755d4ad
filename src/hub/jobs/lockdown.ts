import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { Lockdown } from '#src/core/lockdown.ts';
import { lockdownText } from '#src/core/lockdown.ts';
import type { Carrier } from '#src/hub/openclaw/carrier.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { Link } from '#src/link/accept.ts';

/** What a lockdown did, when all of it was told or had its time. */
export interface LockedDown {
  readonly lockdown: Lockdown;
  readonly ended: number;
  readonly running: number;
  /** Ids of linked nodes that did not confirm that they run nothing any more. */
  readonly unconfirmed: readonly string[];
}

/** Whether anything may run at all; kept over restarts. */
export interface LockdownKeeper {
  status(): Lockdown | null;
  /** Why a command is denied now, and what ends that; null where it is not. */
  denial(): string | null;
  /** Nothing new runs from the call on. Throws STORE_FAILED where that is not kept; it holds until this hub ends then. */
  begin(reason: string | null, by: string): Promise<LockedDown>;
  /** Resolves with what was lifted, null where nothing was locked down; while that is not kept, nothing is lifted. */
  lift(by: string): Promise<Lockdown | null>;
  readonly changes: EventEmitter<{ lockdown: [Lockdown | null] }>;
}

/** What is ended by a lockdown. */
interface RunningJobs {
  readonly running: number;
  /** Resolves when all that runs now has ended. */
  endAll(by: string, reason: string): Promise<void>;
}

export interface LockdownOptions {
  readonly store: Pick<Store, 'lockdown'>;
  readonly membership: Pick<MembershipKeeper, 'inTurn' | 'commit' | 'record' | 'now'>;
  readonly fleet: Fleet;
  readonly jobs: RunningJobs;
  readonly carrier: () => Pick<Carrier, 'close'> | null;
  readonly log: Log;
}

/** From TERM to KILL and for the word of it; nodes that need longer are named. */
const CONFIRM_MS = 15_000;

export async function openLockdown({
  store,
  membership,
  fleet,
  jobs,
  carrier,
  log,
}: LockdownOptions): Promise<LockdownKeeper> {
  let current = await store.lockdown();
  /** Counts the lockdowns, so that the end of one does not lift the next. */
  let begun = 0;
  const changes: LockdownKeeper['changes'] = new EventEmitter();

  /** Nodes that heard of a lockdown of this hub and not of its end. */
  const lockedDown = new Set<string>();

  fleet.changes.on('up', (link) => {
    if (current !== null || lockedDown.has(link.nodeId)) void tell(link);
  });

  /** Whether the node confirmed that it lets nothing run, or lets run again. */
  async function tell(link: Link): Promise<boolean> {
    const isLocked = current !== null;
    if (isLocked) lockedDown.add(link.nodeId);
    const status = await answerOf(link, isLocked ? 'POST' : 'DELETE');
    if (status === 200 && !isLocked && current === null) lockedDown.delete(link.nodeId);
    if (status === 200) return true;
    if (isLocked) log.warn('a node did not confirm the lockdown', { node: link.nodeId, status });
    return false;
  }

  async function tellAll(): Promise<readonly string[]> {
    const told = await Promise.all(
      [...fleet.links()].map(async (link) => ({ id: link.nodeId, isTold: await tell(link) })),
    );
    return told.filter(({ isTold }) => !isTold).map(({ id }) => id);
  }

  async function keep(value: Lockdown | null, action: string, by: string, reason: string | null): Promise<void> {
    await membership.inTurn(() =>
      membership.commit([], [{ type: 'lockdown', value }, membership.record(action, by, { reason })]),
    );
  }

  async function end(reason: string): Promise<readonly string[]> {
    // What runs by OpenClaw's own means reaches the gateway through here.
    carrier()?.close();
    const waiting = new AbortController();
    const late = pause(CONFIRM_MS, undefined, { signal: waiting.signal, ref: false }).catch(() => undefined);
    const [unconfirmed] = await Promise.all([tellAll(), Promise.race([jobs.endAll('lockdown', reason), late])]);
    waiting.abort();
    return unconfirmed;
  }

  return {
    status: () => current,
    denial: () => (current === null ? null : `${lockdownText(current)}; manage-federation lockdown --lift ends that`),
    async begin(reason, by) {
      const lockdown = current ?? { since: membership.now(), by, reason };
      const isNew = current === null;
      current = lockdown;
      begun += 1;
      const before = jobs.running;
      const [kept, unconfirmed] = await Promise.allSettled([
        keep(lockdown, 'lockdown.begin', by, reason),
        end('the federation was locked down'),
      ]);
      if (isNew) changes.emit('lockdown', lockdown);
      log.warn('the federation is locked down', { by, reason });
      if (kept.status === 'rejected') throw kept.reason;
      if (unconfirmed.status === 'rejected') throw unconfirmed.reason;
      const { running } = jobs;
      return { lockdown, ended: before - running, running, unconfirmed: unconfirmed.value };
    },
    async lift(by) {
      const lifted = current;
      if (lifted === null) return null;
      const mine = begun;
      await keep(null, 'lockdown.lift', by, lifted.reason);
      if (begun !== mine) return lifted;
      current = null;
      changes.emit('lockdown', null);
      log.warn('the lockdown was lifted', { by });
      await tellAll();
      return lifted;
    },
    changes,
  };
}

/** Status of the answer of /lockdown; null where none came in time. */
async function answerOf(link: Link, method: 'POST' | 'DELETE'): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  const timer = setTimeout(() => resolve(null), CONFIRM_MS);
  try {
    const stream = link.request({ ':method': method, ':path': '/lockdown' }, { endStream: true });
    stream.on('response', (headers) => resolve(headers[':status'] ?? null));
    stream.on('error', () => resolve(null));
    stream.on('close', () => resolve(null));
    stream.resume();
    return await promise;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
