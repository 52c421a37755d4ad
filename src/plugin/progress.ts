import { unlinked } from '#src/plugin/block.ts';

/** Words for who waits, at a pace that a chat can show. */
export interface Progress {
  /** The words are asked for when they are shown. */
  say(text: () => string): void;
  /** What was not said by then is not said any more. */
  stop(): void;
}

/** Between two updates: a chat edits one message, and most of them allow one edit a second. */
const PACE_MS = 1000;

/** The first word at once, then the newest one at most every second, also where it is the same: a chat may miss one. */
export function paced(show: (text: string) => void, paceMs = PACE_MS): Progress {
  let waiting: (() => string) | null = null;
  let timer: NodeJS.Timeout | null = null;

  function next(): void {
    timer = null;
    if (waiting !== null) shown(waiting);
  }

  function shown(text: () => string): void {
    waiting = null;
    timer = setTimeout(next, paceMs);
    show(unlinked(text()));
  }

  return {
    say(text) {
      if (timer === null) shown(text);
      else waiting = text;
    },
    stop() {
      clearTimeout(timer ?? undefined);
      waiting = null;
    },
  };
}
