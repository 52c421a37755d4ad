import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';

/**
 * Aborts at the first SIGTERM or SIGINT, or when `input` ends. A second signal ends the process at once.
 *
 * The listeners stay: a library that cleans up at a signal sends it to the process once more where nobody else listens
 * to it any longer, and would end what only has begun to stop.
 */
export function stopSignal(input: Readable | null = null): AbortSignal {
  const stopping = new AbortController();
  const stop = (why: string): void => {
    input?.destroy();
    stopping.abort(why);
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => (stopping.signal.aborted ? process.exit(128 + constants.signals[name]) : stop(name)));
  }
  for (const name of ['end', 'error'] as const) input?.once(name, () => stop('input'));
  input?.resume();
  // An open input would keep the process alive when all else is done, or when it could not be started at all.
  if (input instanceof Socket) input.unref();
  return stopping.signal;
}
