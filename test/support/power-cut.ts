import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

/**
 * Makes of this process's disk one that forgets: what is written to an open file is there once it is synced, a name that a
 * folder was given by `rename` once the folder is. Before its `step`th write or sync the process dies by KILL, and with it
 * what was not there yet.
 */
export async function cutPowerAt(step: number, folder: string): Promise<void> {
  const probe = await fs.promises.open(join(folder, 'probe'), 'w');
  const handle = Object.getPrototypeOf(probe) as fs.promises.FileHandle;
  await probe.close();
  const { writeFile, sync, datasync } = handle;
  const { writeSync, fstatSync } = fs;
  const { rename, open, mkdir, rm } = fs.promises;
  const held = new Map<number, Buffer[]>();
  const renames: [string, string][] = [];
  let steps = 0;

  function count(): void {
    steps += 1;
    if (steps === step) process.kill(process.pid, 'SIGKILL');
  }

  function hold(fd: number, bytes: Buffer): void {
    held.set(fd, [...(held.get(fd) ?? []), bytes]);
  }

  async function reach(fd: number): Promise<void> {
    for (const bytes of held.get(fd) ?? []) writeSync(fd, bytes);
    held.delete(fd);
    if (!fstatSync(fd).isDirectory()) return;
    for (const [from, to] of renames.splice(0)) await rename(from, to);
  }

  Object.assign(handle, {
    async writeFile(this: fs.promises.FileHandle, data: string | Uint8Array) {
      count();
      hold(this.fd, Buffer.from(data));
    },
    async sync(this: fs.promises.FileHandle) {
      count();
      await reach(this.fd);
      return sync.call(this);
    },
    async datasync(this: fs.promises.FileHandle) {
      count();
      await reach(this.fd);
      return datasync.call(this);
    },
  } satisfies Partial<Record<'writeFile' | 'sync' | 'datasync', typeof writeFile | typeof sync>>);
  Object.assign(fs, {
    writeSync(fd: number, bytes: Buffer, at = 0) {
      count();
      hold(fd, Buffer.from(bytes.subarray(at)));
      return bytes.length - at;
    },
  });
  Object.assign(fs.promises, {
    async rename(from: string, to: string) {
      count();
      // What is looked at again before its folder is synced can't wait for it.
      if (from.endsWith('.new')) renames.push([from, to]);
      else await rename(from, to);
    },
    async open(path: string, flags: string, mode?: number) {
      count();
      return open(path, flags, mode);
    },
    async mkdir(path: string, options: object) {
      count();
      return mkdir(path, options);
    },
    async rm(path: string, options: object) {
      count();
      return rm(path, options);
    },
  });
  syncBuiltinESMExports();
}
