import { isIP } from 'node:net';
import { z } from 'zod';

/** The rows of a list that could be read, and how many could not. */
export interface Readable<T> {
  readonly rows: readonly T[];
  readonly unread: number;
}

const MAX_ROWS = 1000;
const MAX_TEXT = 256;
const MAX_NAMES = 256;
const MAX_NAME = 128;

/**
 * A list of the gateway's, up to 1000 rows of it: a row that is not as it should be is left out and counted, so that
 * one device with an odd claim about itself hides none of the others.
 */
export function readable<T>(row: z.ZodType<T>) {
  return z.array(z.unknown()).transform((all): Readable<T> => {
    const rows = all.slice(0, MAX_ROWS).flatMap((one) => {
      const parsed = row.safeParse(one);
      return parsed.success ? [parsed.data] : [];
    });
    return { rows, unread: all.length - rows.length };
  });
}

/** An id that the gateway made; it goes back to it as it is. */
export const id = z.string().min(1).max(MAX_TEXT);

/** What a device says of itself, of any length and hostile: 256 characters at most, a cut shown as one; null for nothing. */
export const claim = z
  .string()
  .transform((text) => {
    const whole = text.toWellFormed().trim();
    if (whole === '') return null;
    return whole.length > MAX_TEXT ? `${whole.slice(0, MAX_TEXT - 1).toWellFormed()}…` : whole;
  })
  .nullable()
  .catch(null);

/** Names of commands or capabilities, each once. */
export const names = z
  .array(z.string().min(1).max(MAX_NAME))
  .max(MAX_NAMES)
  .default([])
  .transform((list): readonly string[] => [...new Set(list)]);

/** Null where the peer came by loopback, and for what is no address. */
export const address = z
  .string()
  .refine((text) => isIP(text) !== 0)
  .nullable()
  .catch(null);

/** Milliseconds since the epoch. */
export const moment = z.number().nonnegative();
