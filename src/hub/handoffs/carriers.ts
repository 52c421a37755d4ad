import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Bell } from '#src/hub/handoffs/bell.ts';
import { createBell } from '#src/hub/handoffs/bell.ts';
import type { CarryOptions } from '#src/hub/handoffs/carry.ts';
import { carryHandoff } from '#src/hub/handoffs/carry.ts';
import type { Mirror } from '#src/hub/handoffs/mirror.ts';
import { sayRestarted } from '#src/hub/handoffs/restart-line.ts';

/** Those that see handoffs to their end: one for each that a node has. */
export interface Carriers {
  /** `isFresh`: no node has heard of it yet. */
  carry(id: string, isFresh: boolean): void;
  /** Its place in the queue of its node; null where it does not wait there. */
  position(id: string): number | null;
  /** Of its last event, as far as it is known; 0 where it is not. */
  seq(id: string): number;
  done(): Promise<void>;
}

export interface CarriersOptions extends Omit<CarryOptions, 'dispatch' | 'onNews'> {
  readonly mirror: Mirror;
  readonly fleet: Pick<Fleet, 'changes'>;
  readonly onMember: (listener: (nodeId: string) => void) => void;
  readonly dispatch: () => CarryOptions['dispatch'];
  /** Something of it is to be seen. */
  readonly onNews: (id: string) => void;
  readonly log: Log;
}

interface Carried {
  readonly bell: Bell;
  readonly done: Promise<void>;
}

const RETRY_MS = 1000;

export function createCarriers(options: CarriersOptions): Carriers {
  const { book, mirror, fleet, onMember, dispatch, onNews, log, signal } = options;
  const carried = new Map<string, Carried>();
  const news = new Map<string, { readonly seq: number; readonly position: number | null }>();

  const carryOptions = (): CarryOptions => ({
    ...options,
    dispatch: dispatch(),
    onNews(id, seq, position) {
      const before = news.get(id);
      if (before?.seq === seq && before.position === position) return;
      news.set(id, { seq, position });
      onNews(id);
    },
  });

  async function once(id: string, bell: Bell, isFresh: boolean): Promise<void> {
    const mirrored = await mirror.hold(id);
    try {
      const record = book.get(id);
      if (record !== undefined) sayRestarted(record, mirrored);
      await carryHandoff(id, mirrored, bell, isFresh, carryOptions());
    } finally {
      mirrored.release();
    }
  }

  async function run(id: string, bell: Bell, isFresh: boolean): Promise<void> {
    let goesOn = true;
    let isNew = isFresh;
    while (goesOn && !signal.aborted) {
      goesOn = await once(id, bell, isNew).then(
        () => false,
        (error: unknown) => {
          log.error('a handoff could not go on', { id, problem: String(error) });
          return true;
        },
      );
      isNew = false;
      if (goesOn) await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  function carry(id: string, isFresh: boolean): void {
    const bell = createBell();
    // One after the other, where it comes back to those that wait and is given to a node anew at once.
    const before = carried.get(id)?.done ?? Promise.resolve();
    const done: Promise<void> = before
      .then(() => run(id, bell, isFresh))
      .finally(() => {
        if (carried.get(id)?.done === done) carried.delete(id);
      });
    carried.set(id, { bell, done });
  }

  const ringAll = (): void => {
    for (const { bell } of carried.values()) bell.ring();
  };
  fleet.changes.on('up', ringAll);
  onMember(ringAll);
  book.changes.on('handoff', ({ id, state }) => {
    carried.get(id)?.bell.ring();
    if (state !== 'placed' && state !== 'started') news.delete(id);
  });

  return {
    carry,
    position: (id) => news.get(id)?.position ?? null,
    seq: (id) => news.get(id)?.seq ?? 0,
    async done() {
      while (carried.size > 0) await Promise.all([...carried.values()].map(({ done }) => done));
    },
  };
}
