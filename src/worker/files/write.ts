import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import { absolutePath } from '#src/core/file-policy.ts';
import type { FileWrite, FileWritten } from '#src/protocol/files.ts';
import { fill, hashOf } from '#src/worker/files/content.ts';
import { fileFailure, tooLarge } from '#src/worker/files/failure.ts';
import { checkRegular, openFolder, type OpenedFolder, openForReading } from '#src/worker/files/opening.ts';
import { type FilePolicy, rulesOf } from '#src/worker/files/rules.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** The file that a write takes the place of; null where there is none. */
interface Before {
  readonly stat: Stats;
  /** Of its content; null where it may not be read here. */
  readonly sha256: string | null;
}

/** What names take their places, one write after the other: two with the same condition must not both succeed. */
let placing: Promise<unknown> = Promise.resolve();

/**
 * Writes a file whole or not at all: beside its place, onto the medium, and then into it by one step, so that a reader
 * sees the old content or the new one. Nothing stays behind where it fails.
 * Throws PATH_DENIED, PATH_NOT_FOUND for a folder that is not there, FILE_TOO_LARGE, FILE_CHANGED where `if` does not
 * hold, DISK_FULL, USAGE where the body is not what was announced.
 */
export async function writeFile(
  body: AsyncIterable<Buffer>,
  wish: FileWrite,
  policy: FilePolicy,
): Promise<FileWritten> {
  const asked = absolutePath(wish.path, policy.home);
  const { maxBytes } = policy.files;
  if (wish.size > maxBytes) throw tooLarge(asked, maxBytes, 'write it in parts, or by a command that takes input');
  const rules = await rulesOf(policy, 'write');
  rules.checkAsked(asked);
  const name = basename(asked);
  const folder = await openFolder(dirname(asked), asked);
  try {
    const path = join(folder.path, name);
    rules.checkOpened(path, asked);
    const before = await lookAt(folder, name, asked, policy);
    checkCondition(wish, before, asked);
    await replace(folder, name, body, wish, before, asked);
    const { size, sha256 } = wish;
    return { path, size, sha256, created: before === null, previous: before?.sha256 ?? null };
  } catch (error) {
    throw fileFailure(error, asked);
  } finally {
    await folder.handle.close();
  }
}

async function lookAt(folder: OpenedFolder, name: string, asked: string, policy: FilePolicy): Promise<Before | null> {
  const stat = await lookAgain(folder, name);
  if (stat === null) return null;
  checkRegular(asked, stat);
  return { stat, sha256: await hashBefore(join(folder.path, name), stat, policy) };
}

async function lookAgain(folder: OpenedFolder, name: string): Promise<Stats | null> {
  try {
    return await lstat(folder.entry(name));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Whoever may only write must not learn from a hash what is there. */
async function hashBefore(path: string, { size }: Stats, policy: FilePolicy): Promise<string | null> {
  if (size > policy.files.maxBytes) return null;
  try {
    const { handle, stat } = await openForReading(path, await rulesOf(policy, 'read'));
    try {
      return await hashOf(handle, stat.size);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof FederationError) return null;
    throw error;
  }
}

function checkCondition({ if: condition }: FileWrite, before: Before | null, path: string): void {
  if (condition === null || condition === (before === null ? 'absent' : before.sha256)) return;
  if (condition === 'absent') throw changed(`${path} exists already`);
  if (before === null) throw changed(`${path} does not exist any more`);
  throw changed(before.sha256 === null ? `${path} can’t be compared: it is not open to read` : `${path} has changed`);
}

function changed(message: string): FederationError {
  return new FederationError('FILE_CHANGED', message, { hint: 'read it again, and decide anew' });
}

async function replace(
  folder: OpenedFolder,
  name: string,
  body: AsyncIterable<Buffer>,
  wish: FileWrite,
  before: Before | null,
  asked: string,
): Promise<void> {
  const fresh = folder.entry(`.openclaw-federation-${randomBytes(8).toString('hex')}.part`);
  const isNew = before === null && wish.mode === null;
  const handle = await open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, isNew ? 0o644 : 0o600);
  let isUsedUp = false;
  try {
    try {
      await fill(handle, body, wish);
      await takeOver(handle, wish, before);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const placed = placing.then(() => place(folder, fresh, name, wish, before, asked));
    placing = placed.catch(() => undefined);
    isUsedUp = await placed;
    await folder.handle.sync();
  } finally {
    // What could not be made good, nobody can mend here; why it failed is what the asker has to hear.
    if (!isUsedUp) await unlink(fresh).catch(() => undefined);
  }
}

/** Owner and permissions of the file before; those that let it run as its owner end with its content. */
async function takeOver(handle: FileHandle, { mode }: FileWrite, before: Before | null): Promise<void> {
  if (before !== null) {
    const { uid, gid } = await handle.stat();
    const { stat } = before;
    // Only root can give a file away, and a group that one is not in is none to give to: it stays the worker’s then.
    if (stat.uid !== uid || stat.gid !== gid) await handle.chown(stat.uid, stat.gid).catch(() => undefined);
  }
  const permissions = mode ?? (before === null ? null : before.stat.mode & 0o777);
  if (permissions !== null) await handle.chmod(permissions);
}

/** Whether the fresh name is used up by it. */
async function place(
  folder: OpenedFolder,
  fresh: string,
  name: string,
  { if: condition }: FileWrite,
  before: Before | null,
  asked: string,
): Promise<boolean> {
  if (condition !== null && !isSame(await lookAgain(folder, name), before)) {
    throw changed(`${asked} changed while this was on its way`);
  }
  if (condition === 'absent' && (await isLinked(fresh, folder.entry(name), asked))) return false;
  await rename(fresh, folder.entry(name));
  return true;
}

/** Takes a name that nobody has, at once; false where the file system knows no hard links. */
async function isLinked(fresh: string, target: string, asked: string): Promise<boolean> {
  try {
    await link(fresh, target);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EEXIST') throw changed(`${asked} exists already`);
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EMLINK') return false;
    throw error;
  }
}

function isSame(now: Stats | null, before: Before | null): boolean {
  if (now === null || before === null) return now === before;
  const { stat } = before;
  return now.ino === stat.ino && now.dev === stat.dev && now.size === stat.size && now.ctimeMs === stat.ctimeMs;
}
