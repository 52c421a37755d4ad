import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setInterval as every } from 'node:timers/promises';
import { SSE_HEADERS } from '@a2a-js/sdk';
import type { Context } from 'hono';
import { seqIn } from '#src/hub/a2a/task.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';

/** So that a client sees a hub that is gone, and the hub a client that is. */
const HEARTBEAT_MS = 15_000;

interface Told {
  readonly result?: unknown;
}

export function sendJson(context: Context<ApiEnvironment>, body: object): Response {
  return context.json(body);
}

/**
 * Server-sent events whose id is the seq, never more of them than the client takes. What fails before the first is an
 * answer of its own, as A2A has it. Resolves when all is said, or the client is gone.
 */
export async function sendStream(
  context: Context<ApiEnvironment>,
  stream: AsyncGenerator<Told, void, undefined>,
  errorTo: (error: unknown) => object,
  signal: AbortSignal,
): Promise<void> {
  const response = context.env.outgoing;
  const extension = context.res.headers.get('a2a-extensions');
  try {
    const first = await stream.next();
    response.writeHead(200, { ...SSE_HEADERS, ...(extension === null ? {} : { 'a2a-extensions': extension }) });
    const over = new AbortController();
    const beating = beat(response, AbortSignal.any([signal, over.signal]));
    try {
      for (let told = first; told.done !== true; told = await stream.next()) await write(response, told.value, signal);
    } finally {
      over.abort();
      await beating;
    }
  } catch (error) {
    if (signal.aborted) return;
    if (response.headersSent) response.write(`event: error\ndata: ${JSON.stringify(errorTo(error))}\n\n`);
    else response.writeHead(200, { 'content-type': 'application/json' }).write(JSON.stringify(errorTo(error)));
  } finally {
    await stream.return();
    response.end();
  }
}

async function write(response: ServerResponse, told: Told, signal: AbortSignal): Promise<void> {
  const seq = seqIn(told.result);
  const id = seq === null ? '' : `id: ${seq}\n`;
  if (response.write(`${id}data: ${JSON.stringify(told)}\n\n`)) return;
  await once(response, 'drain', { signal });
}

async function beat(response: ServerResponse, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of every(HEARTBEAT_MS, undefined, { signal, ref: false })) {
      // A client that takes nothing has enough to take already.
      if (!response.writableNeedDrain) response.write(': still here\n\n');
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
