import type { Link } from '#src/link/accept.ts';
import { FAILURE_HEADER, MODELS_PATH } from '#src/protocol/models.ts';

/** Longer than a worker waits for a connection to its upstream. */
const PROBE_MS = 2000;

/** Whether the upstream answers at all: what it says to a question for its models does not matter. */
export async function isUpstreamWell(link: Link, upstream: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), PROBE_MS);
  try {
    const stream = link.request(
      { ':method': 'GET', ':path': `${MODELS_PATH}${upstream}/v1/models` },
      { endStream: true },
    );
    stream.on('response', (headers) => resolve(headers[FAILURE_HEADER] === undefined));
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
