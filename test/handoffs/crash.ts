import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Loaded into a daemon before all of its own: ends it, as a power cut ends a process, at the place on a handoff's way to
 * the disk and back that the file CRASH_FILE names. Once: the daemon that comes after it goes on.
 */
const wish = process.env['CRASH_FILE'] ?? '';

function here(place: string): void {
  try {
    if (fs.readFileSync(wish, 'utf8') !== place) return;
    fs.unlinkSync(wish);
  } catch {
    return;
  }
  process.kill(process.pid, 'SIGKILL');
}

const { mkdir, open, rename, writeFile } = fsp;
const { writeSync } = fs;

fsp.mkdir = (async (path: string, ...more: unknown[]) => {
  if (/\/\.\w{26}-\d+\.new$/.test(path)) here('before anything is written');
  return (mkdir as (...all: unknown[]) => Promise<unknown>)(path, ...more);
}) as typeof mkdir;

fsp.rename = async (from, to) => {
  const isOurs = /\/handoffs\/\w{26}-\d+$/.test(String(to));
  if (isOurs) here('before the record has its name');
  await rename(from, to);
  if (isOurs) here('behind the record’s rename');
};

fsp.open = async (path, ...more) => {
  const isOurs = String(path).endsWith('/starting') && more[0] === 'wx';
  if (isOurs) here('before `starting`');
  const handle = await open(path, ...more);
  if (!isOurs) return handle;
  const close = handle.close.bind(handle);
  handle.close = async () => {
    await close();
    here('behind `starting`');
  };
  return handle;
};

fsp.writeFile = async (path, ...more) => {
  const isOurs = typeof path === 'string' && /\/handoffs\/\w{26}-\d+\/over$/.test(path);
  if (isOurs) here('before the end is marked');
  await writeFile(path, ...more);
  if (isOurs) here('behind the mark of the end');
};

fs.writeSync = (handle: number, bytes: unknown, ...more: unknown[]) => {
  const isEnd = bytes instanceof Uint8Array && Buffer.from(bytes).includes('"type":"ended"');
  if (isEnd) here('before the last event');
  const written = (writeSync as (...all: unknown[]) => number)(handle, bytes, ...more);
  if (isEnd) here('behind the last event, which nobody has heard');
  return written;
};

syncBuiltinESMExports();
