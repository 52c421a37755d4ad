import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { isIPv4 } from 'node:net';

/**
 * Id of the user whose process has the other end of a loopback connection, once it has said something: before it has
 * accepted, the connection is nobody's. Null where the kernel does not tell, as outside of Linux.
 * Source: proc(5), net/tcp.
 */
export async function peerOwner({
  localAddress = '',
  localPort = 0,
  remoteAddress = '',
  remotePort = 0,
}: Socket): Promise<number | null> {
  const there = endText(remoteAddress, remotePort);
  const here = endText(localAddress, localPort);
  for (const table of ['tcp', 'tcp6']) {
    const rows = (await readFile(`/proc/self/net/${table}`, 'latin1').catch(() => '')).split('\n');
    for (const row of rows) {
      const [, local = '', remote = '', , , , , uid = ''] = row.trim().split(/\s+/);
      if (local.endsWith(there) && remote.endsWith(here)) return Number(uid);
    }
  }
  return null;
}

/** As the tables have it, in which an IPv4 address may be the end of a mapped one: `0100007F:4965`. */
function endText(address: string, port: number): string {
  const bare = address.replace(/^::ffff:/i, '');
  const words = isIPv4(bare)
    ? bare
        .split('.')
        .toReversed()
        .map((part) => Number(part).toString(16).padStart(2, '0'))
        .join('')
    : '00000000000000000000000001000000';
  return `${words}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}
