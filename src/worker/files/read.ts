import { createHash } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { absolutePath } from '#src/core/file-policy.ts';
import { encodeHeader, FILE_HEADER, type FileHeader, type FileRead, HASH_TRAILER } from '#src/protocol/files.ts';
import { contentOf } from '#src/worker/files/content.ts';
import { tooLarge } from '#src/worker/files/failure.ts';
import { type OpenedFile, openForReading } from '#src/worker/files/opening.ts';
import { type FilePolicy, rulesOf } from '#src/worker/files/rules.ts';

/**
 * Answers a read: the header, the bytes as fast as they are taken, and the trailer that proves them whole. Throws before
 * an answer has begun what `openForReading` does, and FILE_TOO_LARGE; afterwards the stream ends without the trailer.
 */
export async function readFile(
  stream: ServerHttp2Stream,
  { path, offset, length }: FileRead,
  policy: FilePolicy,
  signal: AbortSignal,
): Promise<void> {
  const asked = absolutePath(path, policy.home);
  const file = await openForReading(asked, await rulesOf(policy, 'read'));
  try {
    const header = partOf(file, offset, length);
    if (header.length > policy.files.maxBytes) {
      throw tooLarge(asked, policy.files.maxBytes, `ask for a part of its ${header.size} bytes, by offset and length`);
    }
    if (stream.destroyed) return;
    await send(stream, file, header, signal);
  } finally {
    await file.handle.close();
  }
}

function partOf({ path, stat }: OpenedFile, offset: number, length: number | null): FileHeader {
  const { size, mtime, mode } = stat;
  const from = offset < 0 ? Math.max(0, size + offset) : offset;
  const left = Math.max(0, size - from);
  return {
    path,
    size,
    mtime: mtime.toISOString(),
    mode: mode & 0o7777,
    offset: from,
    length: Math.min(left, length ?? left),
  };
}

async function send(
  stream: ServerHttp2Stream,
  { handle }: OpenedFile,
  header: FileHeader,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  stream.respond(
    { ':status': 200, 'content-type': 'application/octet-stream', [FILE_HEADER]: encodeHeader(header) },
    { waitForTrailers: true },
  );
  stream.once('wantTrailers', () => stream.sendTrailers({ [HASH_TRAILER]: hash.digest('hex') }));
  await pipeline(hashed(), stream, { signal });

  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of contentOf(handle, header.offset, header.length)) {
      hash.update(chunk);
      yield chunk;
    }
  }
}
