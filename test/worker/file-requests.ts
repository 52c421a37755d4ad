import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Asker } from '#src/core/policy.ts';
import type { FileHeader, FileWritten } from '#src/protocol/files.ts';
import {
  decodeHeader,
  encodeHeader,
  FILE_HEADER,
  fileHeaderSchema,
  HASH_TRAILER,
  REQUEST_HEADER,
} from '#src/protocol/files.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';

export const ANN: Asker = { kind: 'operator', name: 'ann' };

export interface ReadAnswer {
  readonly status: number;
  readonly header: FileHeader | null;
  readonly bytes: Buffer;
  /** What the trailer says; null where it did not come. */
  readonly sha256: string | null;
  readonly code: string | null;
  readonly message: string | null;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function openRead(session: ClientHttp2Session, path: string, more: object = {}): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/files/read',
    [EPOCH_HEADER]: '5',
    [REQUEST_HEADER]: encodeHeader({ asker: ANN, path, ...more }),
  });
  return stream.on('error', () => undefined);
}

/** Reads a file as a hub does, to the end of its stream. */
export async function read(session: ClientHttp2Session, path: string, more: object = {}): Promise<ReadAnswer> {
  const stream = openRead(session, path, more);
  let sum: string | null = null;
  stream.on('trailers', (trailers: IncomingHttpHeaders) => (sum = String(trailers[HASH_TRAILER])));
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } catch {
    // Cut: the trailer is missing, too.
  }
  const bytes = Buffer.concat(chunks);
  const status = Number(headers[':status']);
  if (status === 200) {
    const header = decodeHeader(headers[FILE_HEADER], fileHeaderSchema);
    return { status, header, bytes, sha256: sum, code: null, message: null };
  }
  const { code, message } = JSON.parse(bytes.toString()) as { code: string; message: string };
  return { status, header: null, bytes, sha256: sum, code, message };
}

export interface WriteAnswer {
  readonly status: number;
  readonly body: FileWritten & { readonly code?: string; readonly message?: string };
}

export function openWrite(session: ClientHttp2Session, path: string, content: Uint8Array, more: object = {}) {
  const wish = { asker: ANN, path, sha256: sha256(content), size: content.length, ...more };
  const stream = session.request(
    { ':method': 'POST', ':path': '/files/write', [EPOCH_HEADER]: '5', [REQUEST_HEADER]: encodeHeader(wish) },
    { endStream: false },
  );
  return stream.on('error', () => undefined);
}

/** Writes a file as a hub does. */
export async function write(
  session: ClientHttp2Session,
  path: string,
  content: string | Uint8Array,
  more: object = {},
): Promise<WriteAnswer> {
  const stream = openWrite(session, path, Buffer.from(content), more);
  stream.end(content);
  return writeAnswer(stream);
}

export async function writeAnswer(stream: ClientHttp2Stream): Promise<WriteAnswer> {
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(headers[':status']), body: JSON.parse(Buffer.concat(chunks).toString()) as never };
}
