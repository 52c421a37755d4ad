import { once } from 'node:events';
import type { WebSocket } from 'ws';

/** The next frame of a WebSocket, as text. */
export async function nextFrame(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message')) as [Buffer];
  return data.toString();
}

export async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close')) as [number];
  return code;
}

/** The HTTP status that a WebSocket was refused with; rejects where it was let through. */
export function refusal(socket: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once('unexpected-response', (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    socket.once('open', () => reject(new Error('it was let through')));
    socket.on('error', () => undefined);
  });
}
