import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FrameType } from '#src/protocol/frames.ts';
import { encodeJsonFrame, FRAME, FRAMES_MEDIA_TYPE, frameHeader } from '#src/protocol/frames.ts';
import type { JobAudience, RunningJob } from '#src/hub/jobs/job.ts';
import { errorBody } from '#src/core/errors.ts';
import type { RunningInvocation } from '#src/hub/jobs/invocation.ts';

export interface JobStream {
  readonly audience: JobAudience;
  /** Follows the job to its end. A client that goes away before it ends the job. */
  follow(job: RunningJob): Promise<void>;
}

/** A job as frames in the body of a response: output as it comes, and never more of it than the client takes. */
export function jobStream(response: ServerResponse): JobStream {
  /** A frame that goes out together with the next, or at the end of this turn: each write wakes the client. */
  let last: Buffer | null = null;

  function flush(): void {
    if (last !== null) response.write(last);
    last = null;
  }

  function json(type: FrameType, target: number, value: unknown): void {
    flush();
    last = encodeJsonFrame(type, target, value);
    setImmediate(flush);
  }

  return {
    audience: {
      opened(job) {
        response.writeHead(200, { 'content-type': FRAMES_MEDIA_TYPE, 'cache-control': 'no-store' });
        json(FRAME.open, 0, job);
      },
      started: (target, started) => json(FRAME.started, target, started),
      output(target, type, bytes) {
        flush();
        // Never corked: a corked response says that it has room, whatever its socket holds.
        response.write(frameHeader(type, target, bytes.length));
        return response.write(bytes);
      },
      ended: (target, result) => json(FRAME.exit, target, result),
    },
    async follow(job) {
      const onDrain = () => job.resume();
      const onClose = () => void job.cancel('the client went away');
      response.on('drain', onDrain);
      response.on('close', onClose);
      if (response.destroyed) onClose();
      try {
        const ended = await job.done;
        response.off('close', onClose);
        const summary = encodeJsonFrame(FRAME.summary, 0, ended);
        response.end(last === null ? summary : Buffer.concat([last, summary]));
        last = null;
      } catch (error) {
        // Without its summary the stream is seen to be cut.
        response.destroy(new Error(errorBody(error).code));
        throw error;
      } finally {
        response.off('drain', onDrain);
      }
    },
  };
}

/**
 * Hands a request's body to a process as its stdin. Resolves when the body has come whole, or when the process is
 * gone and takes no more; rejects when the client broke off, which is not an end of input.
 */
export function pipeStdin(request: IncomingMessage, invocation: RunningInvocation | null): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (invocation === null) {
    request.resume().on('end', resolve).on('error', reject);
    return promise;
  }
  invocation.onStdinDrain(() => request.resume());
  request.on('data', (chunk: Buffer) => {
    if (!invocation.writeStdin(chunk)) request.pause();
  });
  request.on('end', () => {
    invocation.endStdin();
    resolve();
  });
  request.on('error', reject);
  void invocation.ended.then(() => {
    request.resume();
    resolve();
  });
  return promise;
}
