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
  /** Hub → worker: start the process of an invocation that was opened as `held`. */
  go: 10,
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

/** JSON frames of a worker say how one process began and ended: a longer one is not meant well. */
export const WORKER_JSON_BYTES = 16 * 1024;

/**
 * Cuts bytes into frames. Output frames are handed on in the pieces in which they arrive, so that nothing is held
 * back or copied; JSON frames come whole. `onFrame` may be called many times in one push.
 * Throws LINK_LOST on an unknown type, or a JSON frame over `maxJsonBytes`, or any over MAX_FRAME_BYTES.
 */
export function frameReader(onFrame: (frame: Frame) => void, maxJsonBytes = MAX_FRAME_BYTES): FrameReader {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  let headerBytes = 0;
  let open: { type: FrameType; target: number; left: number } | null = null;
  /** Parts of a JSON frame, joined once: a sender of single bytes must not cost more than what it sends. */
  let parts: Buffer[] = [];

  function takeHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(header, headerBytes, 0, FRAME_HEADER_BYTES - headerBytes);
    headerBytes += taken;
    if (headerBytes === FRAME_HEADER_BYTES) {
      open = readHeader(header, maxJsonBytes);
      headerBytes = 0;
      if (open.left === 0) finish(open, Buffer.alloc(0));
    }
    return chunk.subarray(taken);
  }

  function takePayload(frame: { type: FrameType; target: number; left: number }, chunk: Buffer): Buffer {
    const piece = chunk.subarray(0, frame.left);
    frame.left -= piece.length;
    if (isPiecewise(frame.type)) {
      if (frame.left === 0) open = null;
      onFrame({ type: frame.type, target: frame.target, payload: piece });
    } else {
      parts.push(piece);
      if (frame.left === 0) finish(frame, Buffer.concat(parts));
    }
    return chunk.subarray(piece.length);
  }

  function finish({ type, target }: { type: FrameType; target: number }, payload: Buffer): void {
    open = null;
    parts = [];
    onFrame({ type, target, payload });
  }

  return {
    push(chunk) {
      for (let rest = chunk; rest.length > 0;) rest = open === null ? takeHeader(rest) : takePayload(open, rest);
    },
    get atBoundary() {
      return open === null && headerBytes === 0;
    },
  };
}

function readHeader(header: Buffer, maxJsonBytes: number): { type: FrameType; target: number; left: number } {
  const type = header.readUInt8(0);
  const left = header.readUInt32BE(4);
  if (!isFrameType(type) || header.readUInt8(1) !== 0) throw new FederationError('LINK_LOST', 'malformed frame');
  if (left > (isPiecewise(type) ? MAX_FRAME_BYTES : maxJsonBytes)) {
    throw new FederationError('LINK_LOST', 'a frame is too long');
  }
  return { type, target: header.readUInt16BE(2), left };
}

function isFrameType(type: number): type is FrameType {
  return KNOWN.has(type);
}

function isPiecewise(type: FrameType): boolean {
  return type === FRAME.stdout || type === FRAME.stderr || type === FRAME.stdin;
}
