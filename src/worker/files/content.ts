import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { FederationError } from '#src/core/errors.ts';

const CHUNK_BYTES = 64 * 1024;

/**
 * A part of a file, chunk by chunk, no faster than it is taken. Throws FILE_CHANGED where the file has become shorter
 * than that meanwhile.
 */
export async function* contentOf(handle: FileHandle, offset: number, length: number): AsyncGenerator<Buffer> {
  const end = offset + length;
  for (let at = offset; at < end;) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0)
      throw new FederationError('FILE_CHANGED', 'the file became shorter while it was read', { hint: 'read it again' });
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** SHA-256 of a whole file, hex. */
export async function hashOf(handle: FileHandle, size: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of contentOf(handle, 0, size)) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * Puts a body into a file. Throws USAGE unless the body is exactly `size` bytes of that `sha256`: one
 * that was cut, however it ended, is not.
 */
export async function fill(
  handle: FileHandle,
  body: AsyncIterable<Buffer>,
  { size, sha256 }: { readonly size: number; readonly sha256: string },
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > size) break;
    hash.update(chunk);
    await handle.writeFile(chunk);
  }
  if (bytes !== size)
    throw new FederationError('USAGE', `the content is not the ${size} bytes that were announced`, {
      hint: 'send it once more',
    });
  if (hash.digest('hex') !== sha256)
    throw new FederationError('USAGE', 'the content is not the one that was announced', { hint: 'send it once more' });
}
