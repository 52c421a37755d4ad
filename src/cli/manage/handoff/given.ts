import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { ulid } from 'ulid';
import { FederationError } from '#src/core/errors.ts';
import { isArtefactName } from '#src/core/handoff/event.ts';
import type { HandoffCreate } from '#src/protocol/handoffs.ts';
import { handoffKeySchema, MAX_FILES, MAX_FILES_BYTES } from '#src/protocol/handoffs.ts';

type GivenFile = NonNullable<HandoffCreate['files']>[number];

/** More than the hub takes of any text: what is longer is not read to its end, and refused. */
const MAX_TEXT_BYTES = 1 << 20;

/**
 * The words of an argument; for `-`, or where there are none, standard input. Throws USAGE where that is a terminal or no
 * text, PAYLOAD_TOO_LARGE.
 */
export async function wordsOf(given: string | undefined, what: 'task' | 'message', example: string): Promise<string> {
  if (given !== undefined && given !== '-') {
    if (given.trim() !== '') return given;
    throw usage(`the ${what} is empty`, example);
  }
  if (process.stdin.isTTY) throw usage(`no ${what} is given`, example);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer | string>) {
    chunks.push(Buffer.from(chunk));
    length += chunks.at(-1)!.length;
    if (length > MAX_TEXT_BYTES) throw tooLong(`the ${what} on standard input`, MAX_TEXT_BYTES);
  }
  const text = textOf(Buffer.concat(chunks), `the ${what} on standard input`);
  if (text.trim() !== '') return text;
  throw usage(`the ${what} on standard input is empty`, example);
}

/** The key that was given, or one that nobody else has. Throws USAGE. */
export function keyOf(given: string | undefined): string {
  const { data, error } = handoffKeySchema.safeParse(given ?? ulid());
  if (data !== undefined) return data;
  throw usage(`--key: ${error.issues[0]!.message}`, '--key nightly-2026-11-21');
}

/** A file of text. Throws USAGE, PAYLOAD_TOO_LARGE. */
export async function contextOf(path: string): Promise<string> {
  return textOf(await bytesOf(path, '--context-file', MAX_TEXT_BYTES), `--context-file: ${path}`);
}

/** Files of this machine, as they go with a handoff: by their own names, without their folders. Throws as `contextOf`. */
export async function filesOf(paths: readonly string[]): Promise<GivenFile[]> {
  if (paths.length > MAX_FILES)
    throw usage(`${paths.length} files are too many`, `${MAX_FILES} at most, or an archive`);
  const files: GivenFile[] = [];
  let left = MAX_FILES_BYTES;
  for (const path of paths) {
    const name = basename(path);
    if (!isArtefactName(name)) throw usage(`--file: ${JSON.stringify(name)} can’t be a file’s name there`, 'rename it');
    if (files.some((file) => file.name === name)) throw usage(`--file: two files are named ${name}`, 'rename one');
    const bytes = await bytesOf(path, '--file', left);
    left -= bytes.length;
    files.push({ name, content: bytes.toString('base64') });
  }
  return files;
}

async function bytesOf(path: string, flag: string, most: number): Promise<Buffer> {
  const handle = await opened(path, flag);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw usage(`${flag}: ${path} is no regular file`, 'name a file');
    if (found.size > most) throw tooLong(`${flag}: ${path}`, most);
    const bytes = await handle.readFile();
    if (bytes.length > most) throw tooLong(`${flag}: ${path}`, most);
    return bytes;
  } finally {
    await handle.close();
  }
}

async function opened(path: string, flag: string): Promise<FileHandle> {
  try {
    // A pipe that nobody writes to would not even be opened.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw usage(`${flag}: ${path} can’t be read (${code})`, 'name a file that you can read', cause);
  }
}

function textOf(bytes: Buffer, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw usage(`${what} is no text`, 'files of any kind go with --file', cause);
  }
}

function usage(message: string, hint: string, cause?: unknown): FederationError {
  return new FederationError('USAGE', message, { hint, ...(cause === undefined ? {} : { cause }) });
}

function tooLong(what: string, most: number): FederationError {
  return new FederationError('PAYLOAD_TOO_LARGE', `${what} is over ${most} bytes`, {
    hint: 'give less, or put it on that machine first: manage-federation write NODE PATH',
  });
}
