import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import type { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { Action } from '#src/core/action.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Asker } from '#src/core/policy.ts';
import type { Permits } from '#src/hub/approvals/permits.ts';
import { type DeedRecord, deedRecord } from '#src/hub/approvals/deed-record.ts';
import { answerOf, bytesOf, linkOf, lost } from '#src/hub/fleet/ask-worker.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { UsedApproval } from '#src/protocol/approval.ts';
import type {
  FileRead,
  FileReadQuery,
  FileWrite,
  FileWriteQuery,
  FileWritten,
  PlacedFile,
  PlacedHeader,
} from '#src/protocol/files.ts';
import {
  decodeHeader,
  encodeHeader,
  FILE_HEADER,
  fileHeaderSchema,
  fileWrittenSchema,
  HASH_TRAILER,
  REQUEST_HEADER,
} from '#src/protocol/files.ts';

/** Who takes a file that a node sends. */
export interface FileAudience {
  /**
   * Takes the bytes to their end; `sha256` is of all of them, hex, once they are taken. They throw LINK_LOST where not all
   * came as the node proves it.
   */
  take(header: PlacedHeader, bytes: AsyncIterable<Buffer>, sha256: () => string): Promise<void>;
}

/**
 * Files of nodes. Both throw what a word that means no node does, LOCKED_DOWN, FORBIDDEN, APPROVAL_NEEDED,
 * APPROVAL_OVER, MACHINE_UNREACHABLE, LINK_LOST, STORE_FAILED, and what the node says why it refuses.
 */
export interface NodeFiles {
  /** Resolves when the audience has taken it. */
  read(word: string, query: FileReadQuery, asker: Asker, audience: FileAudience): Promise<void>;
  /** Resolves when the file is in its place. */
  write(word: string, query: FileWriteQuery, body: IncomingMessage, asker: Asker): Promise<PlacedFile>;
}

export interface NodeFilesOptions {
  readonly find: (word: string) => Member;
  readonly fleet: Pick<Fleet, 'link'>;
  readonly permits: Pick<Permits, 'permit'>;
  readonly store: Pick<Store, 'commit' | 'commitSoon'>;
  readonly createId: () => string;
  readonly log: Log;
  /** How long a file may stand still on its way; and what a node has to look at one, or to bring it onto its medium. */
  readonly idleMs?: number;
}

const IDLE_MS = 60_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export function createNodeFiles(options: NodeFilesOptions): NodeFiles {
  const { find, fleet, permits, store, createId, log, idleMs = IDLE_MS } = options;
  const onFault = (error: unknown): void => log.error('what became of a file was not kept', { problem: String(error) });

  /** Recorded and allowed: from here on it may happen. */
  async function begin(
    member: Member,
    { asker, action, approval, more }: { asker: Asker; action: Action; approval?: string | undefined; more: object },
  ): Promise<{ record: DeedRecord; approval: UsedApproval | undefined }> {
    // Before an approval is used up by it.
    linkOf(fleet, member);
    const permit = permits.permit({ asker, action, members: [member], approval });
    const record = deedRecord({ id: createId(), asker, action, member, permit, more: { ...more } }, store, onFault);
    await record.begin();
    return { record, approval: permit.approvalFor(member) };
  }

  function send(member: Member, path: string, wish: FileRead | FileWrite, endStream: boolean): ClientHttp2Stream {
    const headers = { ':method': 'POST', ':path': path, [REQUEST_HEADER]: encodeHeader(wish) };
    return linkOf(fleet, member).request(headers, { endStream });
  }

  return {
    async read(word, { path, offset = 0, length = null, approval: approvalId }, asker, audience) {
      const member = find(word);
      const action: Action = { kind: 'read', path };
      const more = { offset, length };
      const { record, approval } = await begin(member, { asker, action, approval: approvalId, more });
      try {
        const wish = { asker, approval, path, offset, length };
        record.end(await relay(send(member, '/files/read', wish, true), member, audience, idleMs));
      } catch (error) {
        record.failed(error);
        throw error;
      }
    },
    async write(word, { path, sha256, size, mode, if: condition = null, approval: approvalId }, body, asker) {
      const member = find(word);
      const action: Action = { kind: 'write', path, sha256, size, mode };
      const more = { if: condition };
      const { record, approval } = await begin(member, { asker, action, approval: approvalId, more });
      try {
        const wish = { asker, approval, path, sha256, size, mode: mode ?? null, if: condition };
        const written = await deliver(send(member, '/files/write', wish, false), body, idleMs);
        record.end({ path: written.path, content: written.sha256, previous: written.previous, bytes: written.size });
        return { ...written, node: member.name, id: member.id };
      } catch (error) {
        record.failed(error);
        throw error;
      }
    },
  };
}

/** Passes a file on. A node that sends other than it announced, or proves other, is not believed. */
async function relay(
  stream: ClientHttp2Stream,
  { name: node, id }: Member,
  audience: FileAudience,
  idleMs: number,
): Promise<{ bytes: number; content: string }> {
  const hash = createHash('sha256');
  let trailers: IncomingHttpHeaders = {};
  let sum = '';
  stream.once('trailers', (came: IncomingHttpHeaders) => (trailers = came));
  const headers = await answerOf(stream, idleMs);
  try {
    const header = headerOf(headers);
    await audience.take({ ...header, node, id }, followed(header.length), () => sum);
    return { bytes: header.length, content: sum };
  } finally {
    if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
  }

  async function* followed(length: number): AsyncGenerator<Buffer, void> {
    let left = length;
    let idle = setTimeout(giveUp, idleMs);
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        // While the client takes its time, the node is not waited for.
        clearTimeout(idle);
        left -= chunk.length;
        if (left < 0) throw lost('the node sent more than it announced');
        hash.update(chunk);
        yield chunk;
        idle = setTimeout(giveUp, idleMs);
      }
    } catch (cause) {
      if (cause instanceof FederationError) throw cause;
      throw lost('the file broke off on its way', cause);
    } finally {
      clearTimeout(idle);
    }
    sum = hash.digest('hex');
    if (left === 0 && trailers[HASH_TRAILER] === sum) return;
    throw lost('the file did not come whole');
  }

  function giveUp(): void {
    stream.close(constants.NGHTTP2_CANCEL);
  }
}

function headerOf(headers: IncomingHttpHeaders): z.output<typeof fileHeaderSchema> {
  try {
    return decodeHeader(headers[FILE_HEADER], fileHeaderSchema);
  } catch (cause) {
    throw lost('the node does not say what it sends', cause);
  }
}

/** Hands a client’s body to a node as fast as it takes it, and waits for the node’s word. */
async function deliver(stream: ClientHttp2Stream, body: IncomingMessage, idleMs: number): Promise<FileWritten> {
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  const give = (error: FederationError): void => {
    broken.reject(error);
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const idle = setTimeout(() => {
    const message = body.readableEnded
      ? 'the node did not confirm the write; it may have happened'
      : 'the content stood still on its way';
    give(lost(message));
  }, idleMs);
  body.on('data', () => idle.refresh());
  body.once('end', () => idle.refresh());
  body.on('error', () => undefined);
  body.once('close', () => {
    // Half of it must not look like all of it.
    if (!body.complete)
      give(new FederationError('USAGE', 'the content broke off on its way to the hub', { hint: 'send it once more' }));
  });
  const answered = answerOf(stream, null);
  body.pipe(stream);
  try {
    await Promise.race([broken.promise, answered]);
    return writtenOf(await bytesOf(stream, MAX_ANSWER_BYTES));
  } finally {
    clearTimeout(idle);
    // What the node has not taken when it answers, it does not want.
    body.unpipe(stream);
    body.resume();
  }
}

function writtenOf(answer: Buffer): FileWritten {
  try {
    return fileWrittenSchema.parse(JSON.parse(answer.toString('utf8')));
  } catch (cause) {
    throw lost('the node gave a strange answer to a write', cause);
  }
}
