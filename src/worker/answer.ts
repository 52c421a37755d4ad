import type { ServerHttp2Stream } from 'node:http2';
import type { ErrorBody } from '#src/core/errors.ts';
import { FRAME, FRAMES_MEDIA_TYPE, encodeJsonFrame } from '#src/protocol/frames.ts';
import type { Started, WorkerExit } from '#src/protocol/worker-api.ts';

/** Begins the answer of POST /exec: the node says who it is. */
export function answerStarted(stream: ServerHttp2Stream, started: Started): void {
  if (!canAnswer(stream)) return;
  stream.respond({ ':status': 200, 'content-type': FRAMES_MEDIA_TYPE });
  stream.write(encodeJsonFrame(FRAME.started, 0, started));
}

/** Ends the answer of POST /exec with the one positive proof of how it ended. */
export function answerExit(stream: ServerHttp2Stream, exit: WorkerExit): void {
  if (!canAnswer(stream)) return;
  if (!stream.headersSent) stream.respond({ ':status': 200, 'content-type': FRAMES_MEDIA_TYPE });
  stream.end(encodeJsonFrame(FRAME.exit, 0, exit));
}

/** Takes no effect once an answer has begun. */
export function answerJson(stream: ServerHttp2Stream, status: number, value: unknown): void {
  if (!canAnswer(stream) || stream.headersSent) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(JSON.stringify(value));
}

export function answerError(stream: ServerHttp2Stream, status: number, body: ErrorBody): void {
  answerJson(stream, status, body);
}

function canAnswer(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed && stream.writable;
}
