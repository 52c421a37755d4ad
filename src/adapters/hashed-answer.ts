import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';

export interface HashedBytes {
  readonly bytes: Buffer;
  /** Of these bytes, hex. */
  readonly sha256: string;
}

/** An answer that says behind its bytes, in a trailer, what their SHA-256 is. */
interface Expected {
  readonly trailer: string;
  /** Bytes at most. */
  readonly most: number;
}

/**
 * The bytes of an answer. Throws what `cut` makes of one that broke off, or that does not say by its trailer that it is
 * whole; OUTPUT_LOST where they are too many.
 */
export async function hashedBytes(
  response: IncomingMessage,
  { trailer, most }: Expected,
  cut: (cause?: unknown) => unknown,
): Promise<HashedBytes> {
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
  if (!isWhole(response, trailer, sha256)) throw cut();
  return { bytes, sha256 };
}

/** Whether an answer that has come says by its trailer that these were all of its bytes. */
export function isWhole({ trailers }: IncomingMessage, trailer: string, sha256: string): boolean {
  return trailers[trailer] === sha256;
}
