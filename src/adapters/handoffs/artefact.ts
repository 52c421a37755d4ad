import { createHash } from 'node:crypto';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Artefact } from '#src/core/handoff/event.ts';

/**
 * The bytes of a file that belongs to an answer, as they come. Ends with OUTPUT_LOST where they are not those of its hash:
 * what came by then is nothing to be used. Throws what the hub answers, and the reason of the signal.
 */
export async function* artefactBytes(
  hub: Pick<HubApi, 'open'>,
  id: string,
  { name, size, sha256 }: Artefact,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const path = `/handoffs/${encodeURIComponent(id)}/artefacts/${encodeURIComponent(name)}`;
  const response = await hub.open('GET', path, undefined, signal);
  const hash = createHash('sha256');
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > size) throw damaged(name);
      hash.update(chunk);
      yield chunk;
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw cause instanceof FederationError ? cause : damaged(name, cause);
  }
  if (length !== size || hash.digest('hex') !== sha256) throw damaged(name);
}

function damaged(name: string, cause?: unknown): FederationError {
  return new FederationError('OUTPUT_LOST', `${name} did not come whole`, {
    hint: 'fetch it again',
    ...(cause === undefined ? {} : { cause }),
  });
}
