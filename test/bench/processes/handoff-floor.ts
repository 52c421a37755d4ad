import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { connect, createServer as createLinkServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';

/**
 *     handoff-floor.ts hub FOLDER
 *     handoff-floor.ts node GATEWAY-URL LINK-PORT
 *
 * The least that a handoff's way takes. The node passes on what a gateway says, line by line on a stream of HTTP/2; the hub
 * hands it to who follows, and answers a POST when its body is on the medium. Hub: prints its port, and that of its link.
 */
const [part, ...args] = process.argv.slice(2);

if (part === 'hub') await hub(args[0] ?? '');
else await node(args[0] ?? '', Number(args[1]));

async function hub(folder: string): Promise<void> {
  const followers = new Set<ServerResponse>();
  const file = await open(join(folder, 'floor.ndjson'), 'a');
  const link = createLinkServer();
  link.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.on('data', (chunk: Buffer) => {
      for (const follower of followers) follower.write(`data: ${chunk.toString().trimEnd()}\n\n`);
    });
  });
  const server = createServer((request, response) => void serve(request.method, request, response));

  async function serve(method = '', body: NodeJS.ReadableStream, response: ServerResponse): Promise<void> {
    if (method === 'POST') {
      await file.write(await text(body));
      await file.datasync();
      return void response.writeHead(201).end('{}');
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {}\n\n');
    followers.add(response);
    response.once('close', () => followers.delete(response));
  }

  for (const one of [server, link]) {
    one.listen(0, '127.0.0.1');
    await once(one, 'listening');
    process.stdout.write(`${(one.address() as AddressInfo).port}\n`);
  }
}

async function node(gateway: string, linkPort: number): Promise<void> {
  const stream = connect(`http://127.0.0.1:${linkPort}`).request({ ':method': 'POST', ':path': '/' });
  const socket = new WebSocket(gateway);
  socket.on('message', (data: Buffer) => stream.write(`${data.toString()}\n`));
  await once(socket, 'open');
  process.stdout.write('ready\n');
}

process.stdin.resume().once('end', () => process.exit());
