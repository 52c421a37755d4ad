import { setInterval } from 'node:timers/promises';
import { harmless, say } from '#src/adapters/terminal.ts';

/** Shows a person that something is waited for, and how long already. */
export interface Waiting {
  /** Something is not there yet; what is there at once needs no words about waiting. */
  begin(): void;
  /** A line of its own, above. */
  print(text: string): void;
  stop(): void;
}

/**
 * On a terminal one line that counts, at the bottom; elsewhere a line when it begins. Ctrl-C is safe while it is shown:
 * what it is about was done before.
 */
export function showWaiting(names: readonly string[], timeoutMs: number, { silent }: { silent: boolean }): Waiting {
  if (silent) return { begin: nothing, print: nothing, stop: nothing };
  if (!process.stderr.isTTY) {
    let isSaid = false;
    const begin = (): void => {
      if (!isSaid) say(`waits up to ${clock(timeoutMs)} for ${listed(names)}; Ctrl-C leaves what is approved`);
      isSaid = true;
    };
    return { begin, print: say, stop: nothing };
  }
  return counting(listed(names), timeoutMs);
}

const nothing = (): void => undefined;

function counting(names: string, timeoutMs: number): Waiting {
  const over = new AbortController();
  const begun = Date.now();

  function draw(): void {
    const text = `${clock(Date.now() - begun)} of ${clock(timeoutMs)}, Ctrl-C leaves what is approved; waits for ${names}`;
    process.stderr.write(`${CLEAR}${harmless(text).slice(0, process.stderr.columns - 1)}`);
  }

  async function count(): Promise<void> {
    for await (const _ of setInterval(1000, undefined, { signal: over.signal, ref: false })) draw();
  }

  let isBegun = false;
  return {
    begin() {
      if (isBegun) return;
      isBegun = true;
      draw();
      // It ends by being aborted.
      count().catch(() => undefined);
    },
    print(text) {
      if (isBegun) process.stderr.write(CLEAR);
      say(text);
      if (isBegun) draw();
    },
    stop() {
      over.abort();
      if (isBegun) process.stderr.write(CLEAR);
    },
  };
}

/** To the beginning of the line, which is emptied. */
const CLEAR = '\r\u001b[K';

const SHOWN_NAMES = 8;

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN_NAMES;
  return `${names.slice(0, SHOWN_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** `2:05`, minutes and seconds. */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
