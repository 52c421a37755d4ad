import type { ServerResponse } from 'node:http';

export const OK = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' } }],
};
export const ASK = '{"model":"echo","messages":[{"role":"user","content":"hi"}]}';
export const STREAM = ASK.replace('}]}', '}],"stream":true}');
/** A date of our own, so that the answers of two moments are alike. */
export const DATE = 'Sat, 21 Nov 2026 12:00:00 GMT';

type Head = Readonly<Record<string, string | readonly string[]>>;

export function reply(status: number, head: Head, body?: string | Buffer) {
  return (response: ServerResponse): void => {
    response.writeHead(status, { date: DATE, ...head } as Record<string, string>);
    response.end(body);
  };
}

export const json = (value: object, status = 200, head: Head = {}) =>
  reply(
    status,
    { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(JSON.stringify(value))), ...head },
    JSON.stringify(value),
  );
export const ok = json(OK);

/** Each piece by itself, so that it is a packet of its own. */
export function events(pieces: readonly (string | Buffer)[], head: Head = {}, ending: 'end' | 'break' = 'end') {
  return async (response: ServerResponse): Promise<void> => {
    response.writeHead(200, {
      date: DATE,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      ...head,
    } as Record<string, string>);
    for (const piece of pieces) {
      await new Promise<void>((resolve) => void response.write(piece, () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (ending === 'end') response.end();
    else response.socket?.destroySoon();
  };
}

export const pinned = { 'x-federation-node': 'w1' };
export const noise = Buffer.from(Array.from({ length: 70_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
