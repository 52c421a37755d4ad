import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FileHeader, FileWritten } from '#src/protocol/files.ts';
import { decodeHeader, FILE_HEADER, fileHeaderSchema, HASH_TRAILER } from '#src/protocol/files.ts';
import type { Federation } from './federation.ts';
import { ask, open } from './http.ts';

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface FileRead {
  readonly status: number;
  readonly header: FileHeader | null;
  readonly bytes: Buffer;
  /** Whether the trailer came and is that of the bytes. */
  readonly whole: boolean;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export function openFile(
  { hub }: Pick<Federation, 'hub'>,
  node: string,
  query: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const path = `/api/v1/nodes/${encodeURIComponent(node)}/file?${new URLSearchParams(query).toString()}`;
  return open({ socketPath: hub.operator, path });
}

/** Reads a file of a node through the hub, to the end of the answer. */
export async function readFile(
  federation: Pick<Federation, 'hub'>,
  node: string,
  query: Readonly<Record<string, string>>,
): Promise<FileRead> {
  const response = await openFile(federation, node, query);
  const chunks: Buffer[] = [];
  let cut = false;
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch {
    cut = true;
  }
  const bytes = Buffer.concat(chunks);
  const status = response.statusCode ?? 0;
  const error = status === 200 ? null : (JSON.parse(bytes.toString()) as FileRead['error']);
  const header = status === 200 ? decodeHeader(response.headers[FILE_HEADER], fileHeaderSchema) : null;
  return { status, header, bytes, whole: !cut && response.trailers[HASH_TRAILER] === sha256(bytes), error };
}

export interface FileWrite {
  readonly status: number;
  readonly body: FileWritten & { readonly code?: string; readonly message?: string };
}

/** Writes a file of a node through the hub. */
export async function writeFile(
  { hub }: Pick<Federation, 'hub'>,
  node: string,
  content: string | Buffer,
  query: Readonly<Record<string, string>>,
): Promise<FileWrite> {
  const bytes = Buffer.from(content);
  const all = { sha256: sha256(bytes), size: String(bytes.length), ...query };
  const path = `/api/v1/nodes/${encodeURIComponent(node)}/file?${new URLSearchParams(all).toString()}`;
  const headers = { 'content-length': String(bytes.length) };
  const { status, json } = await ask({ socketPath: hub.operator, method: 'PUT', path, headers }, bytes);
  return { status, body: json as FileWrite['body'] };
}
