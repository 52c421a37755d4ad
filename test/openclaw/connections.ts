import type { WebSocket } from 'ws';

/** The first frame of one who wants to steer the gateway. */
export function operatorConnect(token: string): object {
  return {
    type: 'req',
    id: '1',
    method: 'connect',
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: 'gateway-client', version: '1', platform: 'linux', mode: 'backend' },
      role: 'operator',
      scopes: ['operator.admin'],
      caps: [],
      auth: { token },
    },
  };
}

export function firstFrame(socket: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('message', (data: Buffer) => resolve(data.toString()));
    socket.once('error', reject);
  });
}

export function closeCode(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.once('close', resolve));
}

/** The HTTP status with which a WebSocket is refused. */
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
