import type { Socket } from 'node:net';
import type { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { Challenge, Hello, Judgement, Proof } from '#src/protocol/handshake.ts';
import { HANDSHAKE_LINE_BYTES } from '#src/protocol/handshake.ts';
import type { Alive, OperatorJudgement, OperatorProof } from '#src/protocol/operator-handshake.ts';

/** The handshake's JSON lines on a socket that is HTTP/2's afterwards. */
export interface Lines {
  /** The next line. Rejects with HANDSHAKE_FAILED for a malformed or too long one, with LINK_LOST when no line can come. */
  next<T>(schema: z.ZodType<T>): Promise<T>;
  send(line: Hello | Challenge | Proof | Judgement | OperatorLine): void;
  /** Lets go of the socket and gives it back what came after the last line. */
  release(): void;
}

type OperatorLine = OperatorProof | OperatorJudgement | Alive;

const LINE_FEED = 10;

/** Takes the socket's bytes. The socket's end destroys it: a half-open one is of no use to either side. */
export function lines(socket: Socket): Lines {
  let held: Buffer = Buffer.alloc(0);
  let lost: Error | null = null;
  let wake: (() => void) | null = null;

  /** What is beyond one line stays in the socket, so that a flood is held back by TCP and not by our memory. */
  function fill(): void {
    while (held.length <= HANDSHAKE_LINE_BYTES) {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) break;
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    }
    wake?.();
  }
  function onEnd(): void {
    socket.destroy(new FederationError('LINK_LOST', 'the other side closed the connection'));
  }
  function onError(error: Error): void {
    lost = error;
  }
  function onClose(): void {
    lost ??= new FederationError('LINK_LOST', 'the connection was closed');
    wake?.();
  }
  socket.on('readable', fill).on('end', onEnd).on('error', onError).on('close', onClose);
  if (socket.destroyed) onClose();

  function take(): string | null {
    const end = held.indexOf(LINE_FEED);
    if (end > HANDSHAKE_LINE_BYTES || (end === -1 && held.length > HANDSHAKE_LINE_BYTES)) {
      throw new FederationError('HANDSHAKE_FAILED', `a line is longer than ${HANDSHAKE_LINE_BYTES} bytes`);
    }
    if (end === -1) return null;
    const line = held.toString('utf8', 0, end);
    held = held.subarray(end + 1);
    return line;
  }

  return {
    async next(schema) {
      for (;;) {
        fill();
        const line = take();
        if (line !== null) return parse(line, schema);
        if (lost !== null) throw asFederationError(lost);
        await new Promise<void>((resolve) => (wake = resolve));
        wake = null;
      }
    },
    send(line) {
      if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
    },
    release() {
      socket.off('readable', fill).off('end', onEnd).off('error', onError).off('close', onClose);
      if (held.length > 0) socket.unshift(held);
      held = Buffer.alloc(0);
    },
  };
}

function parse<T>(line: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new FederationError('HANDSHAKE_FAILED', 'a line is not JSON', { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new FederationError('HANDSHAKE_FAILED', 'a line is not what the protocol says', { cause: parsed.error });
}

function asFederationError(error: Error): FederationError {
  if (error instanceof FederationError) return error;
  return new FederationError('LINK_LOST', 'the connection was lost', { cause: error });
}
