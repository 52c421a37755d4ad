import type { Ending } from '#src/worker/handoffs/handoff.ts';
import type { HandoffRecord } from '#src/worker/handoffs/record.ts';

/** The times of a handoff: in the queue, in silence, and of all. */
export interface Timers {
  /** It does not wait any more. */
  begun(): void;
  /** It waits once more, and has been waiting all the time. */
  waits(): void;
  /** Something was said. */
  heard(): void;
  close(): void;
}

/** Starts them. What went by before this daemon counts; between two daemons only the clock on the wall can tell it. */
export function startTimers(
  { order, acceptedAt }: HandoffRecord,
  isBegun: boolean,
  stop: (why: Ending) => void,
): Timers {
  const gone = Math.max(0, Date.now() - acceptedAt);
  const expire = (problem: string) => (): void => stop({ outcome: 'expired', problem });
  const { leftMs, queueTimeoutMs, idleTimeoutMs } = order;
  const deadline = leftMs === null ? undefined : setTimeout(expire('its deadline is over'), Math.max(0, leftMs - gone));
  const waited = (): NodeJS.Timeout => {
    const left = Math.max(0, queueTimeoutMs - Math.max(0, Date.now() - acceptedAt));
    return setTimeout(expire(`it waited for ${queueTimeoutMs} ms, and no turn came`), left);
  };
  const silence = (): NodeJS.Timeout =>
    setTimeout(expire(`nothing was heard of it for ${idleTimeoutMs} ms`), idleTimeoutMs);
  let queue = isBegun ? undefined : waited();
  let idle = isBegun ? silence() : undefined;
  return {
    begun() {
      clearTimeout(queue);
      idle = silence();
    },
    waits() {
      clearTimeout(idle);
      idle = undefined;
      queue = waited();
    },
    heard: () => void idle?.refresh(),
    close() {
      for (const timer of [deadline, queue, idle]) clearTimeout(timer);
    },
  };
}
