import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { keepLink } from '#src/link/dial.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';
import { relayOutput } from '#src/worker/output.ts';

/**
 *     link-node.ts PORT BYTES
 *
 * A node that answers every request on its link with so many bytes, as frames and as the output of a process would
 * come; and a server that gives whoever connects the same bytes bare. It prints that server's port.
 */
const [port, bytes] = process.argv.slice(2).map(Number);
const stopping = new AbortController();
const { signal } = stopping;

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  output(bytes ?? 0).pipe(socket);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

const key = keyPair(createPrivateKey());
const linked = keepLink({
  hub: { host: '127.0.0.1', port: port ?? 0 },
  key: () => key,
  pin: () => null,
  facts: () => ({
    name: 'w1',
    role: 'worker',
    version: '0',
    platform: 'linux',
    arch: 'x64',
    offers: [],
    openclaw: null,
    commands: [],
  }),
  secret: () => null,
  onWelcome: () => Promise.resolve(),
  onStream(stream) {
    stream.respond({ ':status': 200 });
    const { ended } = relayOutput({ stream, stdout: output(bytes ?? 0), stderr: output(0) });
    void ended.then(() => stream.end());
  },
  onEvent: () => undefined,
  signal,
});

process.stdin.resume().on('end', () => {
  stopping.abort();
  void linked.then(() => process.exit());
});

/** In pieces of 64 KiB, as a pipe gives them. */
function output(length: number): Readable {
  const piece = Buffer.alloc(64 * 1024);
  let left = length;
  return new Readable({
    read() {
      const size = Math.min(left, piece.length);
      left -= size;
      this.push(size === 0 ? null : piece.subarray(0, size));
    },
  });
}
