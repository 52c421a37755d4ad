import { createHash } from 'node:crypto';
import type { ClientHttp2Stream } from 'node:http2';
import { FederationError } from '#src/core/errors.ts';
import { outcomeOf } from '#src/core/outcome.ts';
import type { Link } from '#src/link/accept.ts';
import type { Frame } from '#src/protocol/frames.ts';
import {
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  frameJson,
  frameReader,
  WORKER_JSON_BYTES,
} from '#src/protocol/frames.ts';
import type { Result } from '#src/protocol/hub-api/job.ts';
import type { Invocation, Started, WorkerExit } from '#src/protocol/worker-api.ts';
import { startedSchema, workerExitSchema } from '#src/protocol/worker-api.ts';

/** Where the output of an invocation goes. */
export interface OutputSink {
  started(started: Started): void;
  /** Returns false when it is full; `resume` of the invocation is called when it is not any more. */
  output(type: typeof FRAME.stdout | typeof FRAME.stderr, bytes: Buffer): boolean;
}

export type Ended = Omit<Result, 'node' | 'id' | 'invocation'> & {
  /** SHA-256 of each output that was not empty, hex. */
  readonly hashes: { readonly stdout?: string; readonly stderr?: string };
};

/** One part of a job on one node, on its way. */
export interface RunningInvocation {
  readonly ended: Promise<Ended>;
  /** Asks the node to end it. What does not confirm it in time is `unknown`. */
  cancel(): void;
  resume(): void;
  /** Bytes for the process's stdin. Returns false when the link is full. */
  writeStdin(bytes: Buffer): boolean;
  endStdin(): void;
  onStdinDrain(listener: () => void): void;
}

/** What a node has from TERM to KILL as long as it has not said its own time. */
const KILL_AFTER_MS = 5000;
/** For the node's word to be made and to travel. */
const TRAVEL_MS = 3000;

/**
 * Sends an invocation over a link and follows it to its end. Only an `exit` frame proves an end: a stream that
 * closes without one is `unknown`, because the command may have run.
 * `recorded`: resolves when the job is durably recorded; nothing runs before that, and nothing at all if it rejects.
 * `timeoutMs`: when the node has to end it; one that does not confirm that is given up. Null for no such time.
 */
export function invoke(
  link: Link,
  invocation: Omit<Invocation, 'held'>,
  sink: OutputSink,
  recorded: Promise<void>,
  timeoutMs: number | null,
): RunningInvocation {
  const startedAt = performance.now();
  const { promise: ended, resolve } = Promise.withResolvers<Ended>();
  const stream = link.request({ ':method': 'POST', ':path': '/exec' }, { endStream: false });
  const hashes = { stdout: lazyHash(), stderr: lazyHash() };
  let exit: WorkerExit | null = null;
  let fault: Error | null = null;
  let cancelled = false;
  let sinkFull = false;
  let dropped = false;
  let over = false;
  let status = 200;
  let process: Started | null = null;
  let deadline = timeoutMs === null ? null : giveUpAfter(timeoutMs + confirmMs());

  /** Time that the node needs from being told to end it until its word of that is here. */
  function confirmMs(): number {
    return (process?.killAfterMs ?? KILL_AFTER_MS) + TRAVEL_MS;
  }

  function giveUpAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      // The node's word may stand behind output that our own client does not take: that is no silence of the node.
      if (sinkFull && !cancelled) deadline = giveUpAfter(confirmMs());
      else stream.destroy(new FederationError('LINK_LOST', 'the node did not confirm the end'));
    }, ms).unref();
  }

  function finish(): void {
    if (over) return;
    over = true;
    if (deadline !== null) clearTimeout(deadline);
    resolve(endOf());
  }

  function onFrame(frame: Frame): void {
    if (over) throw new FederationError('LINK_LOST', 'the node sent a frame after `exit`');
    switch (frame.type) {
      case FRAME.started:
        begin(startedSchema.parse(frameJson(frame)));
        return;
      case FRAME.stdout:
      case FRAME.stderr:
        hashes[frame.type === FRAME.stdout ? 'stdout' : 'stderr'].update(frame.payload);
        output(frame.type, frame.payload);
        return;
      case FRAME.exit:
        exit = workerExitSchema.parse(frameJson(frame));
        // The last frame: a stream that the full sink has paused must still be read to its end.
        stream.resume();
        finish();
        return;
      default:
        throw new FederationError('LINK_LOST', 'the node sent a frame that only the hub may send');
    }
  }

  /** The node states who it is, once, and has to be the one whose link this is. */
  function begin(started: Started): void {
    if (process !== null || started.node !== link.nodeId) throw new FederationError('LINK_LOST', 'the node lied');
    process = started;
    sink.started(started);
  }

  /** A cancelled invocation is read to its exit record even if nobody takes its output any more. */
  function output(type: typeof FRAME.stdout | typeof FRAME.stderr, bytes: Buffer): void {
    if (sinkFull && cancelled) {
      dropped = true;
      return;
    }
    sinkFull = !sink.output(type, bytes);
    if (sinkFull && !cancelled) stream.pause();
  }

  const reader = frameReader(onFrame, WORKER_JSON_BYTES);
  stream.on('response', (headers) => (status = headers[':status'] ?? 0));
  stream.on('data', (chunk: Buffer) => {
    if (status !== 200) return;
    try {
      reader.push(chunk);
    } catch (error) {
      stream.destroy(error as Error);
    }
  });
  stream.on('error', (error: Error) => {
    fault = error;
  });
  stream.on('close', finish);
  stream.on('end', () => stream.end());
  stream.write(encodeJsonFrame(FRAME.open, 0, { ...invocation, held: true }));
  recorded.then(
    () => stream.writable && stream.write(encodeFrame(FRAME.go, 0, Buffer.alloc(0))),
    () => stream.destroy(new FederationError('STORE_FAILED', 'the job was not recorded')),
  );

  function endOf(): Ended {
    const digests = { ...hashes.stdout.digest('stdout'), ...hashes.stderr.digest('stderr') };
    const bytes = { stdoutBytes: hashes.stdout.bytes(), stderrBytes: hashes.stderr.bytes() };
    const common = { ...bytes, durationMs: performance.now() - startedAt, hashes: digests };
    if (status !== 200) return { ...common, ...neverRan(`the node answered ${status}`) };
    if (exit === null) return { ...common, ...unknown(stream, fault), truncated: true };
    const ending = endingOf(exit);
    return { ...common, ...ending, truncated: ending.truncated || dropped || !hasAll(exit, bytes) };
  }

  return {
    ended,
    cancel() {
      if (cancelled || over || stream.closed || stream.destroyed) return;
      cancelled = true;
      // Behind input that the process does not read, a frame would wait as long as that does.
      if (invocation.stdin) cancelAside(link, invocation.id);
      else stream.write(encodeFrame(FRAME.cancel, 0, Buffer.alloc(0)));
      // Output that waits for a stalled client stands before the exit record.
      stream.resume();
      if (deadline !== null) clearTimeout(deadline);
      deadline = giveUpAfter(confirmMs());
    },
    resume() {
      sinkFull = false;
      stream.resume();
    },
    writeStdin: (bytes) => !stream.writable || stream.write(encodeFrame(FRAME.stdin, 0, bytes)),
    endStdin: () => void (stream.writable && stream.write(encodeFrame(FRAME.stdinEnd, 0, Buffer.alloc(0)))),
    onStdinDrain: (listener) => void stream.on('drain', listener),
  };
}

/** Whether all that the node says the process printed has arrived. */
function hasAll(exit: WorkerExit, got: { readonly stdoutBytes: number; readonly stderrBytes: number }): boolean {
  if (exit.kind !== 'ended' || exit.replayed) return true;
  return exit.exit.stdoutBytes === got.stdoutBytes && exit.exit.stderrBytes === got.stderrBytes;
}

/** Asks on a stream of its own. The answer is the `exit` frame of the invocation's stream. */
function cancelAside(link: Link, id: string): void {
  try {
    const stream = link.request({ ':method': 'DELETE', ':path': `/invocations/${id}` }, { endStream: true });
    stream.on('error', () => undefined).resume();
  } catch {
    // Without a link the invocation's own stream has ended too, and says so.
  }
}

function lazyHash() {
  let hash: ReturnType<typeof createHash> | null = null;
  let count = 0;
  return {
    update(chunk: Buffer) {
      count += chunk.length;
      hash = (hash ?? createHash('sha256')).update(chunk);
    },
    bytes: () => count,
    digest: (name: 'stdout' | 'stderr') => (hash === null ? {} : { [name]: hash.digest('hex') }),
  };
}

type EndingParts = Pick<Ended, 'outcome' | 'exitCode' | 'signal' | 'truncated' | 'replayed' | 'reason'>;

const NOTHING = { exitCode: null, signal: null, truncated: false, replayed: false } as const;

function unknown(stream: ClientHttp2Stream, fault: Error | null): EndingParts {
  const reason = fault instanceof FederationError ? fault.message : 'the link was lost before the end was known';
  // 0 where no response came; the request may have arrived all the same.
  const refused = stream.rstCode === 7; /* REFUSED_STREAM, RFC 9113 section 7: not processed */
  return refused
    ? neverRan('the node refused the stream before it read it')
    : { ...NOTHING, outcome: 'unknown', reason: `${reason}; it may have run` };
}

function neverRan(reason: string): EndingParts {
  return { ...NOTHING, outcome: 'unreachable', reason };
}

function endingOf(exit: WorkerExit): EndingParts {
  switch (exit.kind) {
    case 'refused':
      return { ...NOTHING, outcome: exit.outcome, reason: exit.reason };
    case 'unknown':
      return { ...NOTHING, outcome: 'unknown', reason: exit.reason };
    case 'ended': {
      const { exitCode, signal, truncated, spawnError, survivors } = exit.exit;
      const reason = spawnError ?? (survivors > 0 ? `${survivors} of its processes survived KILL` : null);
      return { outcome: outcomeOf(exit.exit), exitCode, signal, truncated, replayed: exit.replayed, reason };
    }
  }
}

/** The end of a part that was never sent, or that nothing is known of yet. */
export function withoutRun(outcome: Result['outcome'], reason: string | null): Ended {
  return { ...NOTHING, outcome, reason, durationMs: 0, stdoutBytes: 0, stderrBytes: 0, hashes: {} };
}
