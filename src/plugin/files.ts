import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';
import type { Call } from '#src/plugin/call.ts';
import { decodeHeader, FILE_HEADER, HASH_TRAILER, placedHeaderSchema } from '#src/protocol/files.ts';
import type { PlacedFile, PlacedHeader } from '#src/protocol/files.ts';

export interface FilePart {
  readonly header: PlacedHeader;
  readonly bytes: Buffer;
  /** Of these bytes, hex. */
  readonly sha256: string;
}

interface Range {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Throws OUTPUT_LOST where the answer was cut, and what the hub answers. */
export async function readFile(call: Call, node: string, { path, offset, length }: Range): Promise<FilePart> {
  const query = new URLSearchParams({ path, offset: String(offset), length: String(length), ...approval(call) });
  const response = await call.hub.open('GET', `${fileOf(call, node)}?${query.toString()}`, undefined, call.signal);
  const header = decodeHeader(response.headers[FILE_HEADER], placedHeaderSchema);
  const bytes = await bytesOf(response, length);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (response.trailers[HASH_TRAILER] !== sha256) throw cut(path);
  return { header, bytes, sha256 };
}

export interface NewContent {
  readonly path: string;
  readonly bytes: Buffer;
  readonly sha256: string;
  /** Octal, as chmod takes it. */
  readonly mode: string | undefined;
  /** `absent`, or the SHA-256 that the file must have before. */
  readonly condition: string | undefined;
}

export async function writeFile(call: Call, node: string, content: NewContent): Promise<PlacedFile> {
  const { path, bytes, sha256, mode, condition } = content;
  const query = new URLSearchParams({
    path,
    sha256,
    size: String(bytes.length),
    ...(mode === undefined ? {} : { mode }),
    ...(condition === undefined ? {} : { if: condition }),
    ...approval(call),
  });
  return call.hub.put<PlacedFile>(`${fileOf(call, node)}?${query.toString()}`, bytes, call.signal);
}

/** The very node that was approved, where one had to be. */
function fileOf({ approved }: Call, node: string): string {
  return `/nodes/${encodeURIComponent(approved?.targets[0] ?? node)}/file`;
}

function approval({ approved }: Call): { approval?: string } {
  return approved === null ? {} : { approval: approved.id };
}

async function bytesOf(response: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > most) throw new FederationError('OUTPUT_LOST', 'the node sends more than it was asked for');
    }
  } catch (cause) {
    throw cause instanceof FederationError ? cause : cut('the file', cause);
  }
  return Buffer.concat(chunks);
}

function cut(what: string, cause?: unknown): FederationError {
  return new FederationError('OUTPUT_LOST', `${what} did not come whole`, { hint: 'read it again', cause });
}
