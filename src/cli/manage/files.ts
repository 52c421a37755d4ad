import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hashedBytes, isWhole } from '#src/adapters/hashed-answer.ts';
import { harmless, say } from '#src/adapters/terminal.ts';
import { writerTo } from '#src/cli/manage/output.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { deedExitCode } from '#src/cli/manage/deed.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { FileWritten } from '#src/protocol/files.ts';
import { decodeHeader, FILE_HEADER, fileHeaderSchema, HASH_TRAILER } from '#src/protocol/files.ts';

export interface ReadFlags extends GlobalFlags {
  readonly offset?: string;
  readonly length?: string;
  readonly raw?: boolean;
}

const INTERRUPTED = 130;

/** `manage-federation read NODE PATH`: the bytes on standard output, and nothing else there. */
export async function readFile(node: string, path: string, flags: ReadFlags): Promise<number> {
  const query = new URLSearchParams({
    path,
    ...numberOf('offset', flags.offset, /^-?\d{1,15}$/),
    ...numberOf('length', flags.length, /^\d{1,15}$/),
  });
  const hub = await hubOf(flags);
  return interruptible(flags, null, async (signal) => {
    const response = await hub.open('GET', fileUrl(node, query), undefined, signal);
    await (flags.json === true ? printAsJson(response) : print(response, flags.raw ?? false));
  });
}

function numberOf(name: 'offset' | 'length', text: string | undefined, form: RegExp): Record<string, string> {
  if (text === undefined) return {};
  if (form.test(text)) return { [name]: text };
  const hint = name === 'offset' ? '--offset 1000, or --offset=-1000 for the end' : '--length 1000';
  throw new FederationError('USAGE', `--${name}: ${JSON.stringify(text)} is not a number of bytes`, { hint });
}

function fileUrl(node: string, query: URLSearchParams): string {
  // A blank as %20: the plus of forms would be a plus to some.
  return `/nodes/${encodeURIComponent(node)}/file?${query.toString().replaceAll('+', '%20')}`;
}

async function print(response: IncomingMessage, raw: boolean): Promise<void> {
  const write = writerTo(process.stdout, raw);
  const hash = createHash('sha256');
  const screen = new Writable({
    write(chunk: Buffer, _, next) {
      hash.update(chunk);
      if (write(chunk)) next();
      else process.stdout.once('drain', next);
    },
  });
  await pipeline(response, screen).catch((cause: unknown) => {
    throw cut(cause);
  });
  if (!isWhole(response, HASH_TRAILER, hash.digest('hex'))) throw cut();
}

/** More than this is no answer for a program that reads JSON. */
const MAX_JSON_BYTES = 16 << 20;

async function printAsJson(response: IncomingMessage): Promise<void> {
  const header = decodeHeader(response.headers[FILE_HEADER], fileHeaderSchema);
  if (header.length > MAX_JSON_BYTES) {
    response.destroy();
    throw new FederationError('FILE_TOO_LARGE', `${header.length} bytes are too many for --json`, {
      hint: 'leave --json out, or take a part: --offset, --length',
    });
  }
  const { bytes, sha256 } = await hashedBytes(response, { trailer: HASH_TRAILER, most: MAX_JSON_BYTES }, cut);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  const [encoding, content] = isText ? ['utf8', text] : ['base64', bytes.toString('base64')];
  printJson({ ...header, sha256, encoding, content });
}

function cut(cause?: unknown): unknown {
  if (cause instanceof Error && cause.name === 'AbortError') return cause;
  return new FederationError('LINK_LOST', 'the file broke off on its way: what came is a part of it', {
    hint: 'read it again; manage-federation list shows whether the node is there',
    cause,
  });
}

export interface WriteFlags extends GlobalFlags {
  /** A file of this machine; `-`, or none: standard input. */
  readonly from?: string;
  readonly mode?: string;
  readonly ifAbsent?: boolean;
}

/** `manage-federation write NODE PATH`: what comes on standard input, or a file of this machine. */
export async function writeFile(node: string, path: string, flags: WriteFlags): Promise<number> {
  const { from = '-', mode, ifAbsent, json } = flags;
  if (mode !== undefined && !/^0?[0-7]{3}$/.test(mode)) {
    throw new FederationError('USAGE', `--mode: ${JSON.stringify(mode)} is no mode`, { hint: '--mode 644' });
  }
  if (from === '-' && process.stdin.isTTY) {
    throw new FederationError('USAGE', 'nothing to write: standard input is a terminal', {
      hint: `manage-federation write NODE PATH --from FILE, or: echo text | manage-federation write NODE PATH`,
    });
  }
  const hub = await hubOf(flags);
  return interruptible(
    flags,
    `it may have been written; look: manage-federation read ${node} ${path}`,
    async (signal) => {
      await using content = await contentOf(from, signal);
      const { size, sha256 } = content;
      const query = new URLSearchParams({
        ...{ path, sha256, size: String(size) },
        ...(mode === undefined ? {} : { mode }),
        ...(ifAbsent === true ? { if: 'absent' } : {}),
      });
      const stream = content.open();
      try {
        const written = await hub.put<FileWritten>(fileUrl(node, query), { size, stream }, signal);
        if (json === true) printJson({ node, ...written });
        else say(`${written.created ? 'wrote' : 'replaced'} ${written.path} on ${node} (${written.size} bytes)`);
      } finally {
        stream.destroy();
      }
    },
  );
}

interface Content extends AsyncDisposable {
  readonly size: number;
  readonly sha256: string;
  open(): Readable;
}

/** What is announced before it goes: a file is read twice, and standard input is kept beside until it is sent. */
async function contentOf(from: string, signal: AbortSignal): Promise<Content> {
  const folder = from === '-' ? await mkdtemp(join(tmpdir(), 'openclaw-federation-')) : null;
  const file = folder === null ? from : join(folder, 'input');
  const dispose = async (): Promise<void> => {
    if (folder !== null) await rm(folder, { recursive: true, force: true });
  };
  try {
    const hash = createHash('sha256');
    let size = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _, next) {
        hash.update(chunk);
        size += chunk.length;
        next(null, chunk);
      },
    });
    if (folder === null) await checkFile(file);
    const [source, sink] =
      folder === null
        ? [createReadStream(file), new Writable({ write: (_chunk, _encoding, next) => next() })]
        : [process.stdin, createWriteStream(file, { mode: 0o600 })];
    await pipeline(source, counted, sink, { signal });
    return { size, sha256: hash.digest('hex'), open: () => createReadStream(file), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw unreadable(from, error);
  }
}

async function checkFile(path: string): Promise<void> {
  if ((await stat(path)).isFile()) return;
  throw new FederationError('USAGE', `--from: ${path} is no regular file`, { hint: 'name a file, or - for the input' });
}

function unreadable(from: string, error: unknown): unknown {
  if (error instanceof FederationError || !(error instanceof Error) || !('code' in error)) return error;
  if (error.name === 'AbortError') return error;
  const what = from === '-' ? 'standard input' : `--from: ${from}`;
  return new FederationError('USAGE', `${what} can’t be read (${String(error.code)})`, {
    hint: 'name a file that you can read',
    cause: error,
  });
}

/** Ends what goes on at Ctrl-C; `afterwards` is then said. What was on its way by then nobody calls back. */
async function interruptible(
  { json = false }: GlobalFlags,
  afterwards: string | null,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  const interrupts = followInterrupts({ first: leave, second: leave });
  const run = async (): Promise<number> => {
    try {
      await work(leaving.signal);
      return 0;
    } catch (error) {
      if (interrupts.count === 0) throw error;
      if (afterwards !== null) say(`interrupted: ${harmless(afterwards)}`);
      return INTERRUPTED;
    }
  };
  try {
    return await deedExitCode(run, { json });
  } finally {
    interrupts.stop();
  }
}
