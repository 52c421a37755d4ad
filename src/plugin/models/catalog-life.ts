import { z } from 'zod';
import type { ToldModel } from '#src/core/models/offer.ts';
import { OPENCLAW_PROVIDER } from '#src/core/models/openclaw-provider.ts';

/** How long OpenClaw shows a list of models before it asks for the next. */
const LIST_MS = 30_000;

interface Guarded {
  readonly response: Response;
  readonly finalUrl: string;
  readonly release: () => Promise<void>;
}

type CachedRows = (params: {
  readonly providerId: string;
  readonly endpoint: string;
  readonly cacheKeyParts: readonly string[];
  readonly ttlMs: number;
  readonly fetchGuard: (asked: { readonly url: string }) => Promise<Guarded>;
}) => Promise<readonly ToldModel[]>;

const liveRuntime = z.object({
  getCachedLiveProviderModelRows: z.custom<CachedRows>((value) => typeof value === 'function'),
});
/** Of the host, which has no types for it. */
const LIVE_RUNTIME = 'openclaw/plugin-sdk/provider-catalog-live-runtime';

/**
 * The models, with OpenClaw told how long that holds: without that it would show them until it is told to look anew.
 * Where it takes no such word, they are as good as before.
 */
export async function listedFor(
  baseUrl: string,
  ask: () => Promise<readonly ToldModel[]>,
): Promise<readonly ToldModel[]> {
  const runtime = liveRuntime.safeParse(await import(LIVE_RUNTIME).catch(() => null));
  if (!runtime.success) return ask();
  return runtime.data.getCachedLiveProviderModelRows({
    providerId: OPENCLAW_PROVIDER,
    endpoint: `${baseUrl.replace(/\/+$/, '')}/models`,
    cacheKeyParts: [OPENCLAW_PROVIDER, baseUrl],
    ttlMs: LIST_MS,
    fetchGuard: async ({ url }) => ({
      response: Response.json(await ask()),
      finalUrl: url,
      release: () => Promise.resolve(),
    }),
  });
}
