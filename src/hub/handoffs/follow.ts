import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { Bell } from '#src/hub/handoffs/bell.ts';
import { createBell } from '#src/hub/handoffs/bell.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { Followed } from '#src/hub/handoffs/desk.ts';
import type { Mirror, Mirrored } from '#src/hub/handoffs/mirror.ts';
import type { EventReader } from '#src/hub/handoffs/transcript.ts';
import { eventReader } from '#src/hub/handoffs/transcript.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** Those who follow handoffs. Each reads the file at its own pace: one that is slow costs no memory. */
export interface Followers {
  follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<Followed>;
  /** Something of it is to be seen. */
  tell(id: string): void;
}

export interface FollowersOptions {
  readonly book: Book;
  readonly mirror: Mirror;
  readonly view: (record: HandoffRecord) => Promise<HandoffView>;
  /** The last who followed it is gone. */
  readonly onLeft: (id: string) => void;
}

export function createFollowers({ book, mirror, view, onLeft }: FollowersOptions): Followers {
  const bells = new Map<string, Set<Bell>>();

  function tell(id: string): void {
    for (const bell of bells.get(id) ?? []) bell.ring();
  }

  book.changes.on('handoff', ({ id }) => tell(id));

  function enter(id: string): Bell {
    const bell = createBell();
    const all = bells.get(id) ?? new Set();
    bells.set(id, all.add(bell));
    return bell;
  }

  function leave(id: string, bell: Bell): void {
    const all = bells.get(id);
    all?.delete(bell);
    if (all === undefined || all.size > 0) return;
    bells.delete(id);
    onLeft(id);
  }

  async function* follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<Followed> {
    const bell = enter(id);
    let held: Mirrored | null = null;
    let reader: EventReader | null = null;
    let seq = after;
    let said = '';
    try {
      for (;;) {
        const record = book.get(id);
        if (record === undefined || signal.aborted) return;
        const standing = await view(record);
        const text = JSON.stringify({ ...standing, seq: 0 });
        if (text !== said) yield { kind: 'standing', view: standing };
        said = text;
        // One that no node ever had has no file.
        if (record.attempt > 0) held ??= await mirror.hold(id);
        if (held !== null) {
          reader ??= eventReader(held, seq);
          for await (const event of reader.more()) {
            // Of what somebody has already who asks for more than is there, some may come anew.
            if (event.seq <= seq) continue;
            yield { kind: 'event', event };
            if (signal.aborted) return;
            seq = event.seq;
          }
        }
        if (isOver(record.state)) {
          const end = await book.end(id);
          if (end !== null && end.seq > seq) yield { kind: 'event', event: end };
          return;
        }
        await bell.wait(Infinity, signal);
      }
    } finally {
      held?.release();
      leave(id, bell);
    }
  }

  return { follow, tell };
}
