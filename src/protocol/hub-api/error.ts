import { z } from 'zod';
import { ERROR_CODES } from '#src/core/errors.ts';

export const errorSchema = z
  .object({ code: z.enum(ERROR_CODES), message: z.string(), hint: z.string().optional() })
  .describe('What went wrong and what to do about it');
