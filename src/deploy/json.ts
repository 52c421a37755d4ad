import type { z } from 'zod';

/** What a text holds as JSON; null where it is something else. */
export function jsonAs<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
