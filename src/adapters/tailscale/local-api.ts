import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';

/** Where tailscaled listens on Linux: `/var/run` is a link to `/run` nearly everywhere, but not in every container. */
const SOCKETS = ['/run/tailscale/tailscaled.sock', '/var/run/tailscale/tailscaled.sock'];
/** tailscaled refuses every other Host, and any request with an Origin or a Referer. */
const HOST = 'local-tailscaled.sock';
/** It is on this machine and answers from memory. */
const ANSWER_MS = 5000;
/** A status with ten thousand peers takes about 30 MB. */
const MAX_ANSWER_BYTES = 64 << 20;

export interface LocalAnswer {
  readonly status: number;
  readonly text: string;
}

/** tailscaled's HTTP interface for programs on its machine, on a unix socket. Paths are those under /localapi/v0. */
export interface LocalApi {
  /** One whole answer. Rejects where none comes in time, it is cut, or it is larger than any status. */
  ask(path: string, signal: AbortSignal): Promise<LocalAnswer>;
  /** An answer that has no end. Rejects unless it is 200. */
  open(path: string, signal: AbortSignal): Promise<IncomingMessage>;
}

/** Nothing is sent before it is asked. `socket` is looked for anew each time: tailscaled may come and go. */
export function localApi(socket: string | undefined): LocalApi {
  const candidates = socket === undefined ? SOCKETS : [socket];

  async function ask(path: string, signal: AbortSignal): Promise<LocalAnswer> {
    const response = await send(path, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) throw new Error(`an answer is larger than ${MAX_ANSWER_BYTES >> 20} MiB`);
      chunks.push(chunk);
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
  }

  async function open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const late = new AbortController();
    const deadline = setTimeout(() => late.abort(new Error('no answer in time')), ANSWER_MS);
    try {
      const response = await send(path, AbortSignal.any([signal, late.signal]));
      if (response.statusCode === 200) return response;
      response.destroy();
      throw new Error(`tailscaled answered ${response.statusCode}`);
    } finally {
      clearTimeout(deadline);
    }
  }

  function send(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const socketPath = candidates.find((candidate) => existsSync(candidate)) ?? candidates[0]!;
    const asking = request({ socketPath, path: `/localapi/v0/${path}`, headers: { host: HOST }, agent: false, signal });
    asking.once('response', resolve);
    asking.on('error', (error) => reject(signal.aborted ? asError(signal.reason) : error));
    asking.end();
    return promise;
  }

  return { ask, open };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
