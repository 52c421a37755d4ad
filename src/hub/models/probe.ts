import type { Link } from '#src/link/accept.ts';

/** Longer than a worker waits for a connection to its upstream. */
const PROBE_MS = 2000;

/** Whether the upstream answers at all: what it says to a question for its models does not matter. */
export async function isUpstreamWell(link: Link, upstream: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), PROBE_MS);
  try {
    const stream = link.request({ ':method': 'GET', ':path': `/models/${upstream}/v1/models` }, { endStream: true });
    stream.on('response', (headers) => resolve((headers[':status'] ?? 599) < 500));
    stream.on('error', () => resolve(false)).on('close', () => resolve(false));
    const isWell = await promise;
    stream.destroy(new Error('it was asked only whether it answers'));
    return isWell;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
