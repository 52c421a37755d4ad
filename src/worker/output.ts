import type { ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import { FRAME, type FrameType, frameHeader } from '#src/protocol/frames.ts';

export interface Output {
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** Resolves when nothing more will come. */
  readonly ended: Promise<void>;
  /** The process has exited: what is in the pipes still counts, and silence then means the end. */
  exited(): void;
  /** From now on output is counted and thrown away. */
  discard(): void;
}

export interface OutputOptions {
  readonly stream: ServerHttp2Stream;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** How long a pipe that a child in the background holds open may be silent before we leave it. */
const QUIET_MS = 500;

/** Carries a process's output to the stream as fast as the stream takes it, and no faster. */
export function relayOutput({ stream, stdout, stderr }: OutputOptions): Output {
  const pipes = [stdout, stderr];
  const bytes = { stdout: 0, stderr: 0 };
  let open = pipes.length;
  let discarding = false;
  let exited = false;
  let quiet: NodeJS.Timeout | undefined;
  let resolveEnded: () => void;
  const ended = new Promise<void>((resolve) => (resolveEnded = resolve));

  function relay(pipe: Readable, name: 'stdout' | 'stderr', type: FrameType): void {
    pipe.on('data', (chunk: Buffer) => {
      bytes[name] += chunk.length;
      if (!discarding && !send(type, chunk)) for (const each of pipes) each.pause();
      awaitQuiet();
    });
    // The end of a pipe is told by its closing, however it came about.
    pipe.on('error', () => undefined);
    pipe.on('close', () => {
      open -= 1;
      if (open === 0) finish();
    });
  }

  function send(type: FrameType, chunk: Buffer): boolean {
    stream.cork();
    stream.write(frameHeader(type, 0, chunk.length));
    const ready = stream.write(chunk);
    stream.uncork();
    return ready;
  }

  function isBlocked(): boolean {
    return !discarding && stream.writableNeedDrain;
  }

  function resume(): void {
    for (const pipe of pipes) pipe.resume();
    awaitQuiet();
  }

  function awaitQuiet(): void {
    clearTimeout(quiet);
    if (!exited || open === 0 || isBlocked()) return;
    quiet = setTimeout(() => {
      for (const pipe of pipes) pipe.destroy();
    }, QUIET_MS);
  }

  function finish(): void {
    clearTimeout(quiet);
    stream.off('drain', resume);
    resolveEnded();
  }

  relay(stdout, 'stdout', FRAME.stdout);
  relay(stderr, 'stderr', FRAME.stderr);
  stream.on('drain', resume);
  return {
    get stdoutBytes() {
      return bytes.stdout;
    },
    get stderrBytes() {
      return bytes.stderr;
    },
    ended,
    exited() {
      exited = true;
      awaitQuiet();
    },
    discard() {
      discarding = true;
      resume();
    },
  };
}
