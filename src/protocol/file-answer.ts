import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';
import { HASH_TRAILER } from '#src/protocol/files.ts';

export interface FileBytes {
  readonly bytes: Buffer;
  /** Of these bytes, hex. */
  readonly sha256: string;
}

/**
 * The bytes of a file as a hub answers them. Throws what `cut` makes of an answer that broke off, or that does not say by
 * its trailer that it is whole; OUTPUT_LOST where they are more than `most`.
 */
export async function fileBytes(
  response: IncomingMessage,
  most: number,
  cut: (cause?: unknown) => unknown,
): Promise<FileBytes> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > most) throw new FederationError('OUTPUT_LOST', 'the node sends more than it was asked for');
    }
  } catch (cause) {
    throw cause instanceof FederationError ? cause : cut(cause);
  }
  const bytes = Buffer.concat(chunks);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (!isWhole(response, sha256)) throw cut();
  return { bytes, sha256 };
}

/** Whether an answer that has come says by its trailer that these were all of its bytes. */
export function isWhole({ trailers }: IncomingMessage, sha256: string): boolean {
  return trailers[HASH_TRAILER] === sha256;
}
