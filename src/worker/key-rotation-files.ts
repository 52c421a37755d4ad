import { z } from 'zod';
import type { Home } from '#src/adapters/home.ts';
import { ERROR_CODES } from '#src/core/errors.ts';
import type { KeyRotationRecord, KeyRotationRequest } from '#src/core/key-rotation.ts';
import { KEY_ROTATION_FILE, KEY_ROTATION_REQUEST_FILE } from '#src/core/key-rotation.ts';

/** The files by which a person and the worker daemon speak of a new key. What is in none of our words is not there. */
export interface KeyRotationFiles {
  request(): Promise<KeyRotationRequest | null>;
  /** Takes a request away, unless another one stands in its place by now. */
  dropRequest(id: string): Promise<void>;
  record(): Promise<KeyRotationRecord | null>;
  write(record: KeyRotationRecord): Promise<void>;
}

const id = z.string().regex(/^[\w-]{1,64}$/);
const requestSchema = z.object({ id, endRunning: z.boolean() });
const recordSchema = z.object({
  requests: z.array(id),
  state: z.enum(['running', 'done', 'refused']),
  from: z.string(),
  to: z.string().nullable(),
  problem: z
    .object({ code: z.enum(ERROR_CODES), message: z.string(), hint: z.string().optional() })
    .transform(({ hint, ...body }) => (hint === undefined ? body : { ...body, hint }))
    .nullable(),
});

export function openKeyRotationFiles(home: Home): KeyRotationFiles {
  async function request(): Promise<KeyRotationRequest | null> {
    const text = await home.read(KEY_ROTATION_REQUEST_FILE);
    const asked = parsed(requestSchema, text);
    // It would stand in the way of everybody who asks.
    if (text !== null && asked === null) await home.remove(KEY_ROTATION_REQUEST_FILE);
    return asked;
  }
  return {
    request,
    async dropRequest(which) {
      if ((await request())?.id === which) await home.remove(KEY_ROTATION_REQUEST_FILE);
    },
    record: async () => parsed(recordSchema, await home.read(KEY_ROTATION_FILE)),
    write: (record) => home.write(KEY_ROTATION_FILE, `${JSON.stringify(record)}\n`),
  };
}

function parsed<T>(schema: z.ZodType<T>, text: string | null): T | null {
  try {
    return schema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}
