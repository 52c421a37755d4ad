/** Lines about what has come about, and between them how long the next one is waited for already. */
export interface Waiting {
  line(text: string): void;
  /** Nothing is waited for any longer. */
  end(): void;
}

/** Between two of them in a pipe, which keeps every line; on a terminal one line is kept up to date. */
const PIPE_MS = 15_000;
const TERMINAL_MS = 1000;
/** Less is no long wait. */
const LONG_S = 3;
/** CSI 2K, erase in line (ECMA-48, 8.3.41). */
const CLEAR_LINE = '\r\u001b[2K';

/** Lines go to `sayLine`; the line that is kept up to date goes to standard error. */
export function showWaiting(
  sayLine: (text: string) => void,
  stream: Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean } = process.stderr,
): Waiting {
  const isTerminal = stream.isTTY === true;
  let since = performance.now();
  let last = '';
  let isShown = false;
  const timer = setTimeout(show, isTerminal ? TERMINAL_MS : PIPE_MS);
  timer.unref();

  function show(): void {
    timer.refresh();
    const seconds = Math.round((performance.now() - since) / 1000);
    if (!isTerminal) return sayLine(`still at it, ${seconds} s after: ${last}`);
    if (seconds < LONG_S) return;
    // What others say goes over it: it is shorter than their lines, and leaves the cursor where they begin.
    stream.write(`${CLEAR_LINE}${seconds} s …\r`);
    isShown = true;
  }

  function clear(): void {
    if (isShown) stream.write(CLEAR_LINE);
    isShown = false;
  }

  return {
    line(text) {
      clear();
      sayLine(text);
      since = performance.now();
      last = text;
      timer.refresh();
    },
    end() {
      clear();
      clearTimeout(timer);
    },
  };
}
