import { say } from '#src/adapters/terminal.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import type { HandoffScreen } from '#src/cli/manage/handoff/screen.ts';
import type { WatchFlags } from '#src/cli/manage/handoff/watch.ts';
import { screenFor, watchHandoff } from '#src/cli/manage/handoff/watch.ts';
import { handoffId } from '#src/cli/manage/handoff/words.ts';
import { FederationError } from '#src/core/errors.ts';

export interface AttachFlags extends GlobalFlags, WatchFlags {
  readonly after?: string;
}

const INTERRUPTED = 130;

/** `manage-federation handoff attach ID`: what it said and says, to its end. Ctrl-C leaves it as it is. */
export async function attachHandoff(word: string, flags: AttachFlags): Promise<number> {
  const id = handoffId(word);
  const screen = screenFor(flags);
  const after = seqOf(flags.after ?? '0');
  const hub = await hubOf(flags);
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  const interrupts = followInterrupts({ first: leave, second: leave });
  try {
    return await watchHandoff({ hub, id, after, screen: pastEnd(after, screen), signal: leaving.signal });
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    say(`\nleft as it is; to end it: manage-federation handoff cancel ${id}`);
    return INTERRUPTED;
  } finally {
    interrupts.stop();
  }
}

/** Says so where it never came to the event after which it was asked for. */
function pastEnd(after: number, screen: HandoffScreen): HandoffScreen {
  return {
    ...screen,
    async over(view) {
      if (view.seq < after) say(`it has no event ${after}: its last is ${view.seq}`);
      await screen.over(view);
    },
  };
}

function seqOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new FederationError('USAGE', `--after: ${JSON.stringify(text)} is no number of an event`, {
    hint: '--after 0',
  });
}
