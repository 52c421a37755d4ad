import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import type { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { isArtefactName } from '#src/core/handoff/event.ts';
import { handoffOrderSchema, messageOrderSchema, SHA256_HEADER } from '#src/protocol/handoffs.ts';
import { answerJson } from '#src/worker/answer.ts';
import type { Handoffs } from '#src/worker/handoffs/handoffs.ts';
import type { Messages } from '#src/worker/handoffs/messages.ts';

/** The handoffs of this node, as the hub asks for them on the link; see protocol/handoffs.ts. */
export interface HandoffServing {
  /** Whether the path is one of these. */
  takes(path: string): boolean;
  /** Throws FederationError before an answer has begun. */
  serve(method: string, path: string, stream: ServerHttp2Stream): Promise<void>;
}

/** Bytes of an order: its files in base64, and texts in which each character is written as six. */
const MAX_ORDER_BYTES = 16 << 20;
const PATH = /^\/handoffs\/([0-9A-Z]{26})(?:\/(events|artefacts\/([^/?]{1,1800})))?(?:\?after=(\d{1,15}))?$/;

export function createHandoffServing(handoffs: Handoffs, messages: Messages): HandoffServing {
  async function serveOne(method: string, path: string, stream: ServerHttp2Stream): Promise<void> {
    const [, id, part, name, after = '0'] = PATH.exec(path) ?? [];
    stream.resume();
    if (id === undefined) throw notHere(method, path);
    if (method === 'GET' && part === 'events') return handoffs.follow(id, stream, Number(after));
    if (method === 'GET' && name !== undefined) return sendFile(id, decoded(name), stream);
    if (part !== undefined) throw notHere(method, path);
    if (method === 'GET') return answerJson(stream, 200, handoffs.standing(id));
    if (method === 'DELETE') return answerJson(stream, 202, handoffs.cancel(id));
    throw notHere(method, path);
  }

  async function sendFile(id: string, name: string, stream: ServerHttp2Stream): Promise<void> {
    const { artefact, bytes } = await handoffs.artefact(id, name);
    if (stream.destroyed) return void bytes.destroy();
    stream.respond({
      ':status': 200,
      'content-type': 'application/octet-stream',
      'content-length': artefact.size,
      [SHA256_HEADER]: artefact.sha256,
    });
    // Whoever reads it finds a cut by its length.
    await pipeline(bytes, stream).catch(() => undefined);
  }

  return {
    takes: (path) => path === '/handoffs' || path === '/messages' || path.startsWith('/handoffs/'),
    async serve(method, path, stream) {
      if (method === 'POST' && path === '/handoffs') {
        return answerJson(stream, 200, await handoffs.accept(await read(stream, handoffOrderSchema)));
      }
      if (method === 'POST' && path === '/messages') {
        return answerJson(stream, 200, await messages.deliver(await read(stream, messageOrderSchema)));
      }
      await serveOne(method, path, stream);
    },
  };
}

function notHere(method: string, path: string): FederationError {
  return new FederationError('NOT_FOUND', `no ${method} ${path.slice(0, 100)} here`);
}

function decoded(name: string): string {
  try {
    const plain = decodeURIComponent(name);
    if (isArtefactName(plain)) return plain;
  } catch {
    // Said below.
  }
  throw new FederationError('USAGE', 'a file has one name, and no path');
}

async function read<T>(stream: ServerHttp2Stream, schema: z.ZodType<T>): Promise<T> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_ORDER_BYTES) chunks.push(chunk);
  });
  await once(stream, 'end');
  if (bytes > MAX_ORDER_BYTES) {
    throw new FederationError('PAYLOAD_TOO_LARGE', 'the order is too long', {
      hint: 'make the task or its files smaller',
    });
  }
  try {
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch (cause) {
    throw new FederationError('USAGE', 'the order of a handoff does not fit', {
      hint: 'see protocol/handoffs.ts',
      cause,
    });
  }
}
