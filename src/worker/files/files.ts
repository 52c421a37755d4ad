import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Log } from '#src/adapters/log.ts';
import type { Action } from '#src/core/action.ts';
import { FederationError } from '#src/core/errors.ts';
import type { FileAccess } from '#src/core/file-policy.ts';
import { decodeHeader, fileReadSchema, fileWriteSchema, REQUEST_HEADER } from '#src/protocol/files.ts';
import { answerJson } from '#src/worker/answer.ts';
import type { Consent, Wanted } from '#src/worker/consent.ts';
import { readFile } from '#src/worker/files/read.ts';
import type { FilePolicy } from '#src/worker/files/rules.ts';
import { writeFile } from '#src/worker/files/write.ts';

/** The files of this node, as far as they are open to the hub. */
export interface Files {
  /** Takes a request of POST /files/read or /files/write. Throws FederationError before an answer has begun. */
  serve(access: FileAccess, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void>;
  /** Denies everything new until it is lifted. */
  lockDown(on: boolean): void;
  /** Cuts what is under way. */
  endAll(): void;
}

export interface FilesOptions {
  readonly consent: Consent;
  /** Asked anew for each request. */
  readonly policy: () => FilePolicy;
  readonly log: Log;
}

/** Files on their way at once: each holds a descriptor and some memory. */
const MAX_UNDER_WAY = 32;
const UNLOCK = 'manage-federation lockdown --lift';

export function createFiles({ consent, policy, log }: FilesOptions): Files {
  const underWay = new Set<AbortController>();
  let lockedDown = false;

  /** An approval is used up by it, whatever the path turns out to be. */
  function demand(wanted: Wanted): void {
    if (lockedDown) throw new FederationError('LOCKED_DOWN', 'the federation is locked down', { hint: UNLOCK });
    const { kind, rule } = consent.judge(wanted);
    if (kind !== 'allow') throw new FederationError('FORBIDDEN', rule, { hint: 'ask the owner of this federation' });
    consent.take(wanted);
  }

  async function read(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, signal: AbortSignal): Promise<void> {
    const wish = decodeHeader(headers[REQUEST_HEADER], fileReadSchema);
    stream.resume();
    const { asker, approval, path } = wish;
    demand({ asker, approval, action: { kind: 'read', path } });
    await readFile(stream, wish, policy(), signal);
  }

  async function write(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, signal: AbortSignal): Promise<void> {
    const wish = decodeHeader(headers[REQUEST_HEADER], fileWriteSchema);
    const { asker, approval, path, sha256, size, mode } = wish;
    const action: Action = { kind: 'write', path, sha256, size, mode: mode ?? undefined };
    demand({ asker, approval, action });
    const abort = (): void => void stream.destroy(new FederationError('LINK_LOST', 'the write was cut'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      const body = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      answerJson(stream, 200, await writeFile(body, wish, policy()));
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  return {
    async serve(access, stream, headers) {
      if (underWay.size >= MAX_UNDER_WAY) {
        throw new FederationError('PENDING_FULL', `${MAX_UNDER_WAY} files are on their way here already`, {
          hint: 'try again in a moment',
        });
      }
      const cut = new AbortController();
      underWay.add(cut);
      try {
        await (access === 'read' ? read : write)(stream, headers, cut.signal);
      } catch (error) {
        if (!stream.headersSent && !stream.destroyed) throw error;
        log.warn('a file did not go over whole', { access, problem: String(error) });
        stream.destroy(error instanceof Error ? error : undefined);
      } finally {
        underWay.delete(cut);
      }
    },
    lockDown: (on) => void (lockedDown = on),
    endAll() {
      for (const cut of underWay) cut.abort();
    },
  };
}
