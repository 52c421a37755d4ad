import { FederationError } from '#src/core/errors.ts';

/** Bytes of an answer that is no stream. */
const MAX_BYTES = 8 << 20;
/** What is answered with these was not looked at. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 404, 405, 413, 415, 429]);

/**
 * `fetch` for a server of somebody else: it goes to the origin of the card alone and follows nobody elsewhere, shows the
 * key there and nowhere, and reads no more than an answer may hold. What a stream says at once the SDK bounds. Throws a
 * FederationError where nothing was begun there, whatever was asked.
 */
export function guardedFetch(card: string, key: () => Promise<string | null>): typeof fetch {
  const { origin } = new URL(card);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.origin !== origin) throw new FederationError('FORBIDDEN', `the agent’s card leads away from ${origin}`);
    const headers = new Headers(init?.headers);
    const secret = await key();
    if (secret !== null) headers.set('authorization', `Bearer ${secret}`);
    const answer = await fetch(url, { ...init, headers, redirect: 'error' }).catch((error: unknown) => {
      throw isUnsent(error)
        ? new FederationError('MACHINE_UNREACHABLE', `${origin} is not there`, { cause: error })
        : error;
    });
    if (REFUSALS.has(answer.status)) {
      await answer.body?.cancel();
      throw new FederationError('FORBIDDEN', `${origin} answered ${answer.status}`);
    }
    if (answer.body === null || isStream(answer)) return answer;
    return new Response(answer.body.pipeThrough(atMost(MAX_BYTES)), answer);
  };
}

/** No connection came about. */
function isUnsent(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code ?? '');
}

function isStream({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('text/event-stream') === true;
}

function atMost(max: number): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.length;
      if (bytes > max) controller.error(new Error(`the answer is longer than ${max >> 20} MiB`));
      else controller.enqueue(chunk);
    },
  });
}
