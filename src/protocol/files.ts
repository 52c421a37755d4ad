import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { approvalIdSchema, usedApprovalSchema } from '#src/protocol/approval.ts';
import { askerSchema } from '#src/protocol/asker.ts';

/**
 * Reading and writing one file of a node. Both hops speak alike:
 *
 *     hub → worker, on the link, with what is asked for in REQUEST_HEADER (base64url of JSON)
 *       POST /files/read     200: FILE_HEADER, the bytes, and HASH_TRAILER after the last of them
 *       POST /files/write    the bytes as body; 200: fileWrittenSchema, when the file is in its place
 *     client → hub, under /api/v1; the answers name the node, too
 *       GET  /nodes/{node}/file?path&offset&length&approval         as POST /files/read
 *       PUT  /nodes/{node}/file?path&sha256&size&mode&if&approval   as POST /files/write
 *
 * An answer without HASH_TRAILER was cut, however it ended. A body that is not exactly `size` bytes of that `sha256`
 * changes nothing.
 */
export const FILE_HEADER = 'x-federation-file';
export const HASH_TRAILER = 'x-federation-sha256';
export const REQUEST_HEADER = 'x-federation-request';

/** What Linux takes (PATH_MAX less its NUL), and of one name in it (NAME_MAX). */
export const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;

/**
 * A path is its bytes: nothing is normalised, and two names that look alike are two files. What can’t be told apart on
 * a screen, in a log or at a question from something else is refused: control characters, and halves of characters,
 * which would become another path on their way to the disk.
 */
export const filePathSchema = z
  .string()
  .min(1)
  .refine((path) => path.isWellFormed(), 'is no well-formed text')
  // oxlint-disable-next-line no-control-regex -- these are what is refused
  .refine((path) => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(path), 'must not hold control characters')
  .refine((path) => Buffer.byteLength(path) <= MAX_PATH_BYTES, `is longer than ${MAX_PATH_BYTES} bytes`)
  .refine(
    (path) => path.split('/').every((name) => Buffer.byteLength(name) <= MAX_NAME_BYTES),
    `holds a name of more than ${MAX_NAME_BYTES} bytes`,
  )
  .describe('Absolute, or from the home of the user that the worker runs as; `~` is that home');

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const bytes = z.int().min(0);
const approvalId = approvalIdSchema.describe('Of POST /verdicts, for a chat that needs one');

/** Who asks, and by whose approval, where one was needed on this node. */
const asked = { asker: askerSchema, approval: usedApprovalSchema.optional() };

/** Of `write`: what the file must be for it to be written at all. */
const condition = z
  .union([z.literal('absent'), sha256])
  .describe('`absent`, or the SHA-256 of what the file holds before: anything else is FILE_CHANGED');

/** FILE_HEADER: the file that was opened, and the part of it that follows. */
export const fileHeaderSchema = z.object({
  path: z.string().describe('Where it really is: no symbolic link is left in it'),
  size: bytes.describe('Of the whole file'),
  mtime: z.iso.datetime(),
  mode: z.int().min(0).max(0o7777),
  offset: bytes,
  length: bytes.describe('Bytes that follow'),
});
export type FileHeader = z.infer<typeof fileHeaderSchema>;

/** Answer of a write. */
export const fileWrittenSchema = z.object({
  path: z.string().describe('Where it really is'),
  size: bytes,
  sha256,
  created: z.boolean().describe('Whether there was no file before'),
  previous: sha256
    .nullable()
    .describe('Of what it held before; null where there was none, and where that was longer than the node reads'),
});
export type FileWritten = z.infer<typeof fileWrittenSchema>;

/** The node that a word meant, as the hub knows it: in its answers beside what the node says. */
const place = { node: z.string().describe('Name of the node'), id: z.string() };
export const placedHeaderSchema = fileHeaderSchema.extend(place);
export type PlacedHeader = z.infer<typeof placedHeaderSchema>;
export const placedFileSchema = fileWrittenSchema.extend(place);
export type PlacedFile = z.infer<typeof placedFileSchema>;

/** Part of a file: `offset` below zero counts from the end. */
const range = {
  offset: z.int().default(0).describe('First byte; below zero it counts from the end: -1000 is the last 1000 bytes'),
  length: bytes.nullable().default(null).describe('Bytes at most; to the end of the file otherwise'),
};

/** REQUEST_HEADER of POST /files/read. */
export const fileReadSchema = z.object({ ...asked, path: filePathSchema, ...range });
export type FileRead = z.infer<typeof fileReadSchema>;

const content = {
  sha256: sha256.describe('Of the bytes of the body'),
  size: bytes.describe('Bytes of the body'),
};

const mode = z
  .int()
  .min(0)
  .max(0o777)
  .describe('Permissions, as a number; otherwise those of the file before, or 0644 less the worker’s umask');

/** REQUEST_HEADER of POST /files/write. */
export const fileWriteSchema = z.object({
  ...asked,
  path: filePathSchema,
  ...content,
  mode: mode.nullable().default(null),
  if: condition.nullable().default(null),
});
export type FileWrite = z.infer<typeof fileWriteSchema>;

const wholeNumber = (schema: z.ZodInt | z.ZodNumber) =>
  z
    .string()
    .regex(/^-?[0-9]{1,16}$/, 'is no whole number')
    .transform(Number)
    .pipe(schema);

/** Query of GET /nodes/{node}/file. */
export const fileReadQuerySchema = z.strictObject({
  path: filePathSchema,
  offset: wholeNumber(z.int()).optional().describe('As in a read'),
  length: wholeNumber(bytes).optional(),
  approval: approvalId.optional(),
});
export type FileReadQuery = z.output<typeof fileReadQuerySchema>;

/** Query of PUT /nodes/{node}/file. `mode` is octal text, as `chmod` takes it. */
export const fileWriteQuerySchema = z.strictObject({
  path: filePathSchema,
  sha256: content.sha256,
  size: wholeNumber(bytes),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'is no mode such as 644')
    .transform((text) => Number.parseInt(text, 8))
    .pipe(mode)
    .optional(),
  if: condition.optional(),
  approval: approvalId.optional(),
});
export type FileWriteQuery = z.output<typeof fileWriteQuerySchema>;

/** JSON in a header: base64url, so that any path is one. */
export function encodeHeader(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

const HINT = 'see /api/v1/openapi.json';

/** Throws USAGE where the header is not there or holds something else. */
export function decodeHeader<T extends z.ZodType>(header: string | string[] | undefined, schema: T): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(String(header ?? ''), 'base64url').toString('utf8'));
  } catch (cause) {
    throw new FederationError('USAGE', 'a header of the request holds no JSON', { hint: HINT, cause });
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  const path = issue?.path.join('.') ?? '';
  throw new FederationError('USAGE', `${path === '' ? 'request' : path}: ${issue?.message ?? 'does not fit'}`, {
    hint: HINT,
  });
}
