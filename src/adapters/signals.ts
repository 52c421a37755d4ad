import { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/**
 * Aborts at the first SIGTERM or SIGINT, or when `input` ends. A second signal takes its usual course and ends the
 * process at once.
 */
export function stopSignal(input: Readable | null = null): AbortSignal {
  const stopping = new AbortController();
  const stop = (why: string): void => {
    input?.destroy();
    stopping.abort(why);
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop(name));
  for (const name of ['end', 'error'] as const) input?.once(name, () => stop('input'));
  input?.resume();
  // An open input would keep the process alive when all else is done, or when it could not be started at all.
  if (input instanceof Socket) input.unref();
  return stopping.signal;
}
