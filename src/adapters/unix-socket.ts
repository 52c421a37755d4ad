import { execFile } from 'node:child_process';
import { readFile, readlink, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { FederationError } from '#src/core/errors.ts';

/** Where a listening unix socket is reached, and the name of the user whose it is: nobody else can open it. */
export interface UnixSocket {
  readonly path: string;
  readonly owner: string;
}

/** The listening unix socket that a descriptor of this process stands for. Throws START_FAILED where it is none. */
export async function unixSocketOf(descriptor: number): Promise<UnixSocket> {
  try {
    const path = await pathOf(descriptor);
    return { path, owner: await ownerOf(path) };
  } catch (cause) {
    throw new FederationError('START_FAILED', `descriptor ${descriptor} is no listening unix socket with a path`, {
      hint: 'see ListenStream= in the socket unit',
      cause,
    });
  }
}

/** Name of the user whom a socket file belongs to. */
export async function ownerOf(path: string): Promise<string> {
  const { uid } = await stat(path);
  const own = userInfo();
  return uid === own.uid ? own.username : nameOf(uid);
}

/**
 * Path of a stream socket that listens: proc(5), net/unix, with __SO_ACCEPTCON among its flags. /proc/net itself is
 * hidden from a unit with ProcSubset=pid.
 */
async function pathOf(descriptor: number): Promise<string> {
  const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/self/fd/${descriptor}`))?.[1] ?? 'none';
  const line = new RegExp(`^[0-9a-f]+: \\w+ \\w+ 00010000 0001 \\w+ +${inode} (/.*)$`, 'm');
  const path = line.exec(await readFile('/proc/self/net/unix', 'utf8'))?.[1];
  if (path === undefined) throw new Error('not among the unix sockets that listen');
  return path;
}

async function nameOf(uid: number): Promise<string> {
  try {
    // Users may come from a directory service, of which /etc/passwd knows nothing.
    const { stdout } = await promisify(execFile)('getent', ['passwd', String(uid)]);
    return stdout.split(':')[0] || `uid ${uid}`;
  } catch {
    return `uid ${uid}`;
  }
}
