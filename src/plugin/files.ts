import { hashedBytes } from '#src/adapters/hashed-answer.ts';
import type { HashedBytes } from '#src/adapters/hashed-answer.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Call } from '#src/plugin/call.ts';
import { decodeHeader, FILE_HEADER, HASH_TRAILER, placedHeaderSchema } from '#src/protocol/files.ts';
import type { PlacedFile, PlacedHeader } from '#src/protocol/files.ts';

export interface FilePart extends HashedBytes {
  readonly header: PlacedHeader;
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
  const expected = { trailer: HASH_TRAILER, most: length };
  return { header, ...(await hashedBytes(response, expected, (cause) => cut(path, cause))) };
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

function cut(what: string, cause?: unknown): FederationError {
  return new FederationError('OUTPUT_LOST', `${what} did not come whole`, { hint: 'read it again', cause });
}
