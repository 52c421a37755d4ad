import type { Http2Stream } from 'node:http2';

/**
 * To be called when a stream closes, of which nothing more is heard then. Node's session remembers streams in tables that
 * outlive them: with the listeners, all that belonged to a request would be kept until the whole memory is tidied up.
 */
export function forgetListeners(stream: Http2Stream): void {
  stream.removeAllListeners();
}
