import { constants, ftruncateSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';

/**
 * Lines of JSON, each `{"seq":N,…}` with the next N, that are only ever added to. Whoever reads it while it grows reads the
 * bytes that were there when `size` was looked at.
 */
export interface EventFile {
  /** Of the last line; 0 where there is none. */
  readonly seq: number;
  /** Bytes. */
  readonly size: number;
  /** Adds one line. Throws what the disk says, and nothing was added then. */
  append(line: string): void;
  /** All that was added has reached the medium when it resolves. */
  sync(): Promise<void>;
  /** Fills `into` with the bytes from there on, as far as there are any; resolves with how many they are. */
  read(offset: number, into: Buffer): Promise<number>;
  /** Where the line after `seq` begins. */
  offsetAfter(seq: number): Promise<number>;
  close(): Promise<void>;
}

/** A line that somebody who resumes must pass over at most. */
const MARK_EVERY = 256;
const READ_BYTES = 64 * 1024;
/** The end of the file, which those who follow it live read from memory; who is further behind reads the disk. */
const TAIL_BYTES = 32 * 1024;

/** Where lines are put into bytes, one at a time, as long as they fit: a buffer for each would be much to clear away. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

interface Mark {
  readonly seq: number;
  /** Where the line of `seq` ends. */
  readonly offset: number;
}

/**
 * Opens the file, or makes it, and calls with each line that is in it. A line that was cut short by a crash, and what is no
 * line of ours, is taken off its end.
 */
export async function openEventFile(path: string, onLine?: (line: string) => void): Promise<EventFile> {
  const handle = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
  const marks: Mark[] = [{ seq: 0, offset: 0 }];
  let seq = 0;
  let size = 0;
  let tail: Buffer = Buffer.alloc(0);
  /** Bytes of it that are in use. */
  let kept = 0;
  try {
    await scan();
  } catch (error) {
    await handle.close();
    throw error;
  }

  async function scan(): Promise<void> {
    for await (const { line, end } of linesOf(handle, 0)) {
      const found = seqOf(line);
      if (found === null || found <= seq) break;
      noted(found, end);
      onLine?.(line.toString('utf8'));
    }
    const { size: found } = await handle.stat();
    if (found > size) await handle.truncate(size);
  }

  function noted(next: number, end: number): void {
    seq = next;
    size = end;
    if (next - marks.at(-1)!.seq >= MARK_EVERY) marks.push({ seq: next, offset: end });
  }

  function remember(bytes: Buffer): void {
    if (kept + bytes.length > TAIL_BYTES) kept = 0;
    if (bytes.length > TAIL_BYTES) return;
    if (kept + bytes.length > tail.length) {
      const grown = Buffer.allocUnsafe(Math.min(TAIL_BYTES, 2 * (kept + bytes.length)));
      tail.copy(grown, 0, 0, kept);
      tail = grown;
    }
    kept += bytes.copy(tail, kept);
  }

  return {
    get seq() {
      return seq;
    },
    get size() {
      return size;
    },
    append(line) {
      const next = seqOf(Buffer.from(line.slice(0, 40)));
      if (next === null || next <= seq) throw new Error('the line does not follow the last one');
      const bytes = bytesOf(`${line}\n`);
      try {
        for (let at = 0; at < bytes.length;) at += writeSync(handle.fd, bytes, at);
      } catch (error) {
        // Half a line would hide all that follow.
        ftruncateSync(handle.fd, size);
        throw error;
      }
      noted(next, size + bytes.length);
      remember(bytes);
    },
    sync: () => handle.datasync(),
    async read(offset, into) {
      const length = Math.min(size - offset, into.length);
      const tailStart = size - kept;
      if (offset >= tailStart) return tail.copy(into, 0, offset - tailStart, offset - tailStart + length);
      return (await handle.read(into, 0, length, offset)).bytesRead;
    },
    async offsetAfter(after) {
      if (after >= seq) return size;
      const from = marks.findLast((mark) => mark.seq <= after) ?? marks[0]!;
      let { offset } = from;
      if (from.seq === after) return offset;
      for await (const { line, end } of linesOf(handle, offset)) {
        const found = seqOf(line);
        if (found === null || found > after) break;
        offset = end;
      }
      return offset;
    },
    close: () => handle.close(),
  };
}

/** Whole lines from there on, each with the offset behind it; the line is there until the next is asked for. */
async function* linesOf(handle: FileHandle, from: number): AsyncGenerator<{ line: Buffer; end: number }> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let held = Buffer.alloc(0);
  let end = from;
  for (let at = from; ;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    const all =
      held.length === 0 ? buffer.subarray(0, bytesRead) : Buffer.concat([held, buffer.subarray(0, bytesRead)]);
    let start = 0;
    for (let stop = all.indexOf(10); stop !== -1; stop = all.indexOf(10, start)) {
      end += stop + 1 - start;
      yield { line: all.subarray(start, stop), end };
      start = stop + 1;
    }
    held = Buffer.from(all.subarray(start));
  }
}

/** They are there until the next line. */
function bytesOf(text: string): Buffer {
  if (Buffer.byteLength(text) > scratch.length) return Buffer.from(text);
  return scratch.subarray(0, scratch.write(text));
}

function seqOf(line: Buffer): number | null {
  const digits = /^\{"seq":([1-9][0-9]{0,14}),/.exec(line.subarray(0, 40).toString('latin1'))?.[1];
  return digits === undefined ? null : Number(digits);
}
