import type { ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import { FederationError } from '#src/core/errors.ts';
import { FRAME, type Frame, frameJson, frameReader } from '#src/protocol/frames.ts';

export interface InputHandlers {
  /** The first frame; stdin waits until `attach`. */
  open(value: unknown): void;
  go(): void;
  cancel(): void;
  /** What came is no sequence of frames that a hub sends. */
  malformed(error: unknown): void;
}

export interface Input {
  /** Gives the process what came for its stdin; null throws it away. */
  attach(stdin: Writable | null): void;
  /** Whether the hub said that stdin is complete. */
  readonly complete: boolean;
}

/** Reads the hub's frames from a stream, as fast as the process takes its stdin. */
export function readInput(stream: ServerHttp2Stream, handlers: InputHandlers): Input {
  let opened = false;
  let complete = false;
  let attached = false;
  let sink: Writable | null = null;
  let held: Frame[] = [];
  const reader = frameReader(take);

  function take(frame: Frame): void {
    if (frame.type === FRAME.cancel && opened) return handlers.cancel();
    if (frame.type === FRAME.go && opened) return handlers.go();
    if (!opened) return open(frame);
    if (attached) return feed(frame);
    held.push(frame);
    // There is no process yet to take it: what came in the same chunk is held, and nothing more is read.
    stream.pause();
  }

  function open(frame: Frame): void {
    if (frame.type !== FRAME.open) throw new FederationError('LINK_LOST', 'the first frame is not `open`');
    opened = true;
    handlers.open(frameJson(frame));
  }

  function feed({ type, payload }: Frame): void {
    if (type === FRAME.stdinEnd) {
      complete = true;
      sink?.end();
    } else if (type !== FRAME.stdin) {
      throw new FederationError('LINK_LOST', 'a frame that a hub never sends');
    } else if (sink !== null && !sink.write(payload)) {
      stream.pause();
    }
  }

  function guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      stream.off('data', push);
      handlers.malformed(error);
    }
  }

  function push(chunk: Buffer): void {
    guarded(() => reader.push(chunk));
  }

  stream.on('data', push);
  return {
    get complete() {
      return complete;
    },
    attach(stdin) {
      attached = true;
      sink = stdin;
      // A process may close its stdin at any time (EPIPE): the rest is thrown away, so that `cancel` is still seen.
      const leave = (): void => {
        sink = null;
        stream.resume();
      };
      stdin
        ?.on('error', leave)
        .on('close', leave)
        .on('drain', () => stream.resume());
      const frames = held;
      held = [];
      stream.resume();
      guarded(() => {
        for (const frame of frames) feed(frame);
      });
    },
  };
}
