import { FederationError } from '#src/core/errors.ts';

/**
 * A stream of frames: the output of processes, byte for byte, with what happened to them in between.
 *
 *     u8 type | u8 zero | u16 target | u32 length | payload        (big-endian)
 *
 * The same on the link (target 0) and from the hub to its clients (target: index in the job's list).
 * A stream proves nothing by ending: `exit` proves that one invocation ended, `summary` that the job did.
 */
export const FRAME = {
  /** JSON. Hub → worker: the invocation. Hub → client: the job and its targets. */
  open: 1,
  /** JSON: the process runs. */
  started: 2,
  stdout: 3,
  stderr: 4,
  /** JSON: the one positive proof of an end. */
  exit: 5,
  /** JSON, last: nothing follows. */
  summary: 6,
  /** Hub → worker: bytes for the process's stdin. */
  stdin: 7,
  /** Hub → worker: end of stdin. */
  stdinEnd: 8,
  /** Hub → worker: end the invocation; its `exit` still follows. */
  cancel: 9,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly type: FrameType;
  readonly target: number;
  readonly payload: Buffer;
}

export const FRAMES_MEDIA_TYPE = 'application/vnd.openclaw-federation.frames';
export const FRAME_HEADER_BYTES = 8;
/** A longer frame is a fault of the other side. */
export const MAX_FRAME_BYTES = 1 << 20;

const KNOWN: ReadonlySet<number> = new Set(Object.values(FRAME));

export function frameHeader(type: FrameType, target: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeUInt8(type, 0);
  header.writeUInt8(0, 1);
  header.writeUInt16BE(target, 2);
  header.writeUInt32BE(length, 4);
  return header;
}

export function encodeFrame(type: FrameType, target: number, payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(type, target, payload.length), payload]);
}

export function encodeJsonFrame(type: FrameType, target: number, value: unknown): Buffer {
  return encodeFrame(type, target, Buffer.from(JSON.stringify(value)));
}

/** JSON of a frame; HANDSHAKE_FAILED is not meant here, so a malformed payload is a LINK_LOST. */
export function frameJson(frame: Frame): unknown {
  try {
    return JSON.parse(frame.payload.toString('utf8'));
  } catch (cause) {
    throw new FederationError('LINK_LOST', 'malformed frame', { cause });
  }
}

export interface FrameReader {
  /** Takes bytes as they come and hands on every part that is complete. */
  push(chunk: Buffer): void;
  /** Whether the bytes so far end at a frame's end. */
  readonly atBoundary: boolean;
}

/**
 * Cuts bytes into frames. Output frames are handed on in the pieces in which they arrive, so that nothing is held
 * back or copied; JSON frames come whole. `onFrame` may be called many times in one push.
 * Throws LINK_LOST on an unknown type or a frame over MAX_FRAME_BYTES.
 */
export function frameReader(onFrame: (frame: Frame) => void): FrameReader {
  let pending: Buffer = Buffer.alloc(0);
  let open: { type: FrameType; target: number; left: number } | null = null;

  function takeHeader(): boolean {
    if (pending.length < FRAME_HEADER_BYTES) return false;
    const type = pending.readUInt8(0);
    const left = pending.readUInt32BE(4);
    if (!KNOWN.has(type) || pending.readUInt8(1) !== 0 || left > MAX_FRAME_BYTES) {
      throw new FederationError('LINK_LOST', 'malformed frame');
    }
    open = { type: type as FrameType, target: pending.readUInt16BE(2), left };
    pending = pending.subarray(FRAME_HEADER_BYTES);
    return true;
  }

  /** Returns false when more bytes are needed first. */
  function takePayload(frame: { type: FrameType; target: number; left: number }): boolean {
    const piecewise = frame.type === FRAME.stdout || frame.type === FRAME.stderr || frame.type === FRAME.stdin;
    const size = piecewise ? Math.min(frame.left, pending.length) : frame.left;
    if (pending.length < size || (size === 0 && frame.left > 0)) return false;
    const payload = pending.subarray(0, size);
    pending = pending.subarray(size);
    frame.left -= size;
    if (frame.left === 0) open = null;
    onFrame({ type: frame.type, target: frame.target, payload });
    return true;
  }

  return {
    push(chunk) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (open === null ? takeHeader() : takePayload(open));
    },
    get atBoundary() {
      return open === null && pending.length === 0;
    },
  };
}
