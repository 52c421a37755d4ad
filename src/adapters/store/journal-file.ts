import { constants, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A file of lines that only grows, or is replaced as a whole. Its methods must not overlap. */
export interface JournalFile {
  /** The text; empty where there is no file yet. */
  read(): Promise<string>;
  /** Adds whole lines. `durable`: it has reached the medium when this resolves, with all before it. */
  append(lines: string, durable: boolean): Promise<void>;
  /** Puts `text` in the place of all, at once or not at all. */
  replace(text: string): Promise<void>;
  /** Bytes that it takes. */
  readonly size: number;
  close(): Promise<void>;
}

/** Opens its file at the first write, so that a full or read-only disk stops what needs it and nothing else. */
export function journalFile(path: string): JournalFile {
  let handle: FileHandle | null = null;
  let size = 0;
  /** Whether the file ends in the middle of a line: power was cut, or the disk was full. */
  let torn = false;

  async function opened(): Promise<FileHandle> {
    if (handle !== null) return handle;
    await makeFolder(dirname(path));
    handle = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
    await syncFolder(dirname(path));
    return handle;
  }

  async function append(lines: string, durable: boolean): Promise<void> {
    const bytes = Buffer.from(torn ? `\n${lines}` : lines);
    try {
      // Without a wait where it is open, so that the sync is under way when the caller goes on.
      const file = handle ?? (await opened());
      writeAll(file, bytes);
      if (durable) await file.datasync();
      size += bytes.length;
      torn = false;
    } catch (error) {
      torn = true;
      await discard();
      throw error;
    }
  }

  /** After a failed write the handle may be that of a file system that is gone. */
  async function discard(): Promise<void> {
    const old = handle;
    handle = null;
    await old?.close().catch(() => undefined);
  }

  return {
    async read() {
      const text = await readFile(path, 'utf8').catch((error: unknown) => {
        if (isCode(error, 'ENOENT')) return '';
        throw error;
      });
      size = Buffer.byteLength(text);
      torn = text !== '' && !text.endsWith('\n');
      return text;
    },
    append,
    async replace(text) {
      const next = await open(`${path}.new`, 'w', 0o600);
      try {
        writeAll(next, Buffer.from(text));
        await next.datasync();
      } finally {
        await next.close();
      }
      await rename(`${path}.new`, path);
      size = Buffer.byteLength(text);
      torn = false;
      await discard();
      await syncFolder(dirname(path));
    },
    get size() {
      return size;
    },
    async close() {
      // What is not durable then counts as lost at the next start, as after a power cut.
      await handle?.datasync().catch(() => undefined);
      await discard();
    },
  };
}

/** The folder above it is the worker's home, and whoever starts the worker makes that. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
}

/** To the page cache, which takes microseconds; only the sync that follows is worth a trip through the thread pool. */
function writeAll(file: FileHandle, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file.fd, bytes, at);
}

/** A new name is durable only once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
