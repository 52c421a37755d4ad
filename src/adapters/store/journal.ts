import { join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import type { ExitRecord } from '#src/core/outcome.ts';
import type { InvocationState } from '#src/protocol/worker-api.ts';
import { journalFile, type JournalFile } from '#src/adapters/store/journal-file.ts';
import { endLine, exitOf, linesOf, readEntries, startLine, type Entry } from '#src/adapters/store/journal-line.ts';

/** What the worker remembers of invocations, so that none ever runs twice. */
export interface Journal {
  /**
   * Resolves when it is durable that the invocation starts; concurrent starts share one sync.
   * Throws JOURNAL_FULL when that can't be written: nothing may be started then.
   */
  start(id: string): Promise<void>;
  /** Becomes durable with the next start, or on closing. Lost in a power cut, it leaves the invocation `lost`. */
  end(id: string, exit: ExitRecord): void;
  /** `running` is what was started since the journal was opened and has not ended. */
  state(id: string): InvocationState;
  /** Ids that a daemon before this one started, in this boot or another, and never saw end. */
  readonly lost: readonly string[];
  close(): Promise<void>;
}

export interface JournalOptions {
  readonly directory: string;
  /** Size at which the oldest invocations that do not run are dropped. */
  readonly maxBytes: number;
  readonly retainMs: number;
  /** Identifies this run of the kernel: what another one started has surely ended. */
  readonly bootId: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Where the lines go, when not to a file in `directory`. */
  readonly file?: JournalFile;
}

interface Start {
  readonly id: string;
  readonly entry: Entry;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Opens the journal of a directory that no other daemon uses. Throws HOME_UNUSABLE when it can't be read. */
export async function openJournal({
  directory,
  maxBytes,
  retainMs,
  bootId,
  now = Date.now,
  file = journalFile(join(directory, 'invocations.ndjson')),
}: JournalOptions): Promise<Journal> {
  const entries = readEntries(await readAll(file));
  const lost = [...entries].filter(([, { end }]) => end === null).map(([id]) => id);
  const stale = new Set(lost);
  let starts: Start[] = [];
  let ends = '';
  let writing = false;
  let written = Promise.resolve();

  function flush(): void {
    if (!writing) written = write();
  }

  /** All who come while one batch is on its way to the medium share the next. */
  async function write(): Promise<void> {
    writing = true;
    let works = true;
    while (starts.length > 0 || (works && ends !== '')) works = await writeBatch();
    // In the same turn as the last look, so that nobody who comes now is left waiting.
    writing = false;
  }

  /** False when it could not be written; the ends then wait for the next start. */
  async function writeBatch(): Promise<boolean> {
    const [batch, ended] = [starts, ends];
    [starts, ends] = [[], ''];
    const started = batch.map(({ id, entry }) => startLine(id, entry)).join('');
    try {
      const fits = batch.length === 0 || file.size + Buffer.byteLength(ended + started) <= maxBytes;
      if (!fits) await compact(started.length);
      // What replaced the file holds the ends already.
      await file.append(fits ? ended + started : started, batch.length > 0);
    } catch (cause) {
      ends = ended + ends;
      for (const { reject } of batch) reject(journalFull(cause));
      return false;
    }
    for (const { id, entry, resolve } of batch) {
      entries.set(id, entry);
      resolve();
    }
    return true;
  }

  async function compact(bytes: number): Promise<void> {
    const kept = keep(maxBytes / 2);
    const text = linesOf(kept);
    if (Buffer.byteLength(text) + bytes > maxBytes) throw new Error('what runs fills it');
    await file.replace(text);
    for (const id of entries.keys()) if (!kept.has(id)) entries.delete(id);
  }

  /** What runs, and of the rest the latest that fit in `bytes` and are not too old. */
  function keep(bytes: number): Map<string, Entry> {
    const oldest = now() - retainMs;
    let left = bytes;
    const kept = [...entries].toReversed().filter(([id, entry]) => {
      left -= linesOf([[id, entry]]).length;
      return isRunning(id, entry) || (left >= 0 && entry.at >= oldest);
    });
    return new Map(kept.toReversed());
  }

  function isRunning(id: string, { end }: Entry): boolean {
    return end === null && !stale.has(id);
  }

  return {
    start: (id) =>
      new Promise((resolve, reject) => {
        starts.push({ id, entry: { boot: bootId, at: now(), end: null }, resolve, reject });
        flush();
      }),
    end(id, exit) {
      const entry = entries.get(id);
      if (entry === undefined) return;
      entry.end = JSON.stringify(exit);
      ends += endLine(id, entry.end);
      flush();
    },
    state(id) {
      const entry = entries.get(id);
      if (entry === undefined) return { state: 'never-started' };
      if (entry.end !== null) return { state: 'ended', exit: exitOf(entry.end) };
      return { state: stale.has(id) ? 'lost' : 'running' };
    },
    lost,
    async close() {
      flush();
      await written;
      await file.close();
    },
  };
}

async function readAll(file: JournalFile): Promise<string> {
  try {
    return await file.read();
  } catch (cause) {
    throw new FederationError('HOME_UNUSABLE', `the journal can't be read (${codeOf(cause) ?? 'unknown error'})`, {
      hint: 'let the worker’s user read and write its home',
      cause,
    });
  }
}

function journalFull(cause: unknown): FederationError {
  return new FederationError('JOURNAL_FULL', `the journal can't be written (${codeOf(cause) ?? 'no room'})`, {
    hint: 'free space on the disk that holds the worker’s home, or raise worker.journalMaxBytes',
    cause,
  });
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null;
}
