import type { Hono } from 'hono';
import type { Settings } from '#src/core/settings.ts';
import type { A2aOptions } from '#src/hub/a2a/edge.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';

/** Null where programs are to reach no agents: then the SDK is not loaded either, which takes 17 MB. */
export async function openA2a(
  { hub: { a2a } }: Settings,
  parts: Omit<A2aOptions, 'exposed'>,
): Promise<Hono<ApiEnvironment> | null> {
  if (!a2a.enabled) return null;
  const { a2aRoutes } = await import('#src/hub/a2a/edge.ts');
  return a2aRoutes({ ...parts, exposed: a2a.agents });
}
