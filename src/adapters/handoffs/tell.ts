import { setTimeout as pause } from 'node:timers/promises';
import type { AbsenceOptions } from '#src/adapters/handoffs/absence.ts';
import { handIn } from '#src/adapters/handoffs/hand-in.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import type { MessageCreate, MessageView } from '#src/protocol/handoffs.ts';

/** A node that is there has a message in far less. */
const DELIVERY_MS = 2000;
const FIRST_LOOK_MS = 20;

/**
 * Sends a message, and waits a moment for what becomes of it: the hub says at once that it keeps it, and delivers it then.
 * Throws what the hub answers, and the reason of the signal.
 */
export async function tell(
  hub: Pick<HubApi, 'open' | 'ask'>,
  message: MessageCreate,
  options: AbsenceOptions,
): Promise<MessageView> {
  const { signal } = options;
  let { view } = await handIn<MessageView>(hub, '/messages', message, options);
  const end = performance.now() + DELIVERY_MS;
  for (let ms = FIRST_LOOK_MS; isOpen(view) && performance.now() < end; ms *= 2) {
    await pause(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
    // It is kept whatever becomes of this question.
    view = await hub.ask<MessageView>('GET', `/messages/${view.id}`, undefined, signal).catch(() => view);
    signal.throwIfAborted();
  }
  return view;
}

/** What has a problem waits for longer than a moment. */
function isOpen({ state, problem }: MessageView): boolean {
  return state === 'waiting' && problem === null;
}
