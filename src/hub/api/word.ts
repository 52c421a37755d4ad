import { z } from '@hono/zod-openapi';

/** What a person writes for a node or a request, in a path. */
export const word = z.object({
  word: z.string().min(1).max(256).describe('Name, id, unique prefix of an id, or fingerprint'),
});
