import { harmless } from '#src/adapters/terminal.ts';

/** Output with a bound: its beginning and its end, and how much is missing between them. */
export interface KeptOutput {
  push(bytes: Buffer): void;
  /** What is kept, as text for a chat, with a line that says what was cut. */
  text(): string;
  /** The last line that has something in it, for who waits; '' while there is none. */
  lastLine(): string;
}

/** Longest line that is shown to who waits. */
const MAX_LINE = 160;

/** Keeps `limit` bytes: half of them from the beginning, half from the end, where errors stand. */
export function keptOutput(limit: number): KeptOutput {
  const half = Math.floor(limit / 2);
  const head: Buffer[] = [];
  const tail: Buffer[] = [];
  let headBytes = 0;
  let tailBytes = 0;
  let total = 0;

  function pushTail(bytes: Buffer): void {
    tail.push(Buffer.from(bytes.subarray(-half)));
    tailBytes += Math.min(bytes.length, half);
    while (tail.length > 1 && tailBytes - tail[0]!.length >= half) tailBytes -= tail.shift()!.length;
  }

  return {
    push(bytes) {
      total += bytes.length;
      const room = Math.min(bytes.length, half - headBytes);
      // Copies: a slice would keep the whole chunk that it came in.
      if (room > 0) head.push(Buffer.from(bytes.subarray(0, room)));
      headBytes += room;
      if (room < bytes.length) pushTail(bytes.subarray(room));
    },
    text() {
      const end = Buffer.concat(tail).subarray(-half);
      const missing = total - headBytes - end.length;
      const beginning = Buffer.concat(head);
      if (beginning.includes(0) || end.includes(0))
        return `[${total} bytes of binary output: cluster_read gives files]`;
      if (missing === 0) return plain(Buffer.concat([beginning, end]));
      return `${plain(beginning)}\n[… ${missing} of ${total} bytes are left out here …]\n${plain(end)}`;
    },
    lastLine() {
      const recent = Buffer.concat([...head.slice(-1), ...tail.slice(-2)]).subarray(-4 * MAX_LINE);
      const line = plain(recent)
        .split('\n')
        .findLast((text) => text.trim() !== '');
      return (line ?? '').trim().slice(-MAX_LINE);
    },
  };
}

/** A progress bar that draws over itself is its last state; what else steers a terminal is only seen. */
function plain(bytes: Buffer): string {
  return harmless(bytes.toString('utf8').split('\n').map(lastState).join('\n'));
}

/** Whoever wrote the line may have written a long one: each letter is looked at once. */
function lastState(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === '\r') end--;
  const text = line.slice(0, end);
  return text.slice(text.lastIndexOf('\r') + 1);
}
