import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** A TCP socket of a process. */
export interface Socket {
  readonly listening: boolean;
  /** In the kernel's hex. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
}

/** The kernel's hex of 127.0.0.1, ::1 and ::ffff:127.0.0.1. */
export const LOOPBACK = ['0100007F', '00000000000000000000000001000000', '0000000000000000FFFF00000100007F'];

/** Those that listen or are connected. */
export function socketsOf(pids: readonly number[]): Socket[] {
  const inodes = new Set(pids.flatMap(socketInodes));
  return ['tcp', 'tcp6'].flatMap((table) => {
    const rows = readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1);
    return rows.flatMap((row) => {
      const [, local = '', remote = '', state = '', , , , , , inode = ''] = row.trim().split(/\s+/);
      if (!inodes.has(inode) || !(state in STATES)) return [];
      const [localAddress = '', localPort = ''] = local.split(':');
      const remotePort = parseInt(remote.split(':')[1] ?? '', 16);
      return [{ listening: state === LISTEN, localAddress, localPort: parseInt(localPort, 16), remotePort }];
    });
  });
}

const LISTEN = '0A';
const STATES = { '01': 'ESTABLISHED', [LISTEN]: 'LISTEN' };

function socketInodes(pid: number): string[] {
  return orNothing(() => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) => {
    const [target = ''] = orNothing(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)]);
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    return inode === undefined ? [] : [inode];
  });
}

/** The process, or its file, may be gone since it was listed. */
function orNothing(look: () => string[]): string[] {
  try {
    return look();
  } catch {
    return [];
  }
}
