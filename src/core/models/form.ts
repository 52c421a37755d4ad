import type { Span } from '#src/core/models/json-scan.ts';

/** A part of a form that is no file. */
export interface FormField {
  readonly name: string;
  readonly span: Span;
}

/** Far more than any request to a model has. */
const MAX_PARTS = 1000;
/** Longest head of a part. */
const MAX_HEAD_BYTES = 8192;

/** RFC 2046, section 5.1.1: at most 70 characters, the last of which is no space. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;
/** RFC 9110, section 5.6.2. */
const TOKEN = "[\\w!#$%&'*+.^`|~-]+";
const PARAMETER = `(name|filename|filename\\*)=("[^"\\\\\\r\\n]*"|${TOKEN})`;
const DISPOSITION = new RegExp(`^content-disposition: ?form-data((?:; ?${PARAMETER})+)$`, 'i');
const ONE_PARAMETER = new RegExp(PARAMETER, 'gi');
const HEAD_LINE = new RegExp(`^${TOKEN}:[^\\r\\n]*$`);

export function isForm(contentType: string): boolean {
  return /^\s*multipart\//i.test(contentType);
}

/** Null where a Content-Type names none, or none that every reader takes for the same. */
export function formBoundary(contentType: string): string | null {
  const [, quoted, bare] =
    /^multipart\/form-data; ?boundary=(?:"([^"\\]+)"|([^;\s"]+))$/i.exec(contentType.trim()) ?? [];
  const boundary = quoted ?? bare ?? '';
  return BOUNDARY.test(boundary) ? boundary : null;
}

/**
 * The fields of a form (RFC 7578), in their order. Null unless it is written as every reader understands it: where
 * parsers differ, one might see a field that another does not.
 */
export function formFields(body: Buffer, boundary: string): readonly FormField[] | null {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  if (!body.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))) return null;
  const fields: FormField[] = [];
  let at = delimiter.length - 2;
  for (let parts = 0; parts <= MAX_PARTS; parts += 1) {
    const after = body.toString('latin1', at, at + 2);
    if (after === '--') return fields;
    const headEnd = body.subarray(at, at + MAX_HEAD_BYTES).indexOf('\r\n\r\n', 2, 'latin1');
    if (after !== '\r\n' || headEnd === -1) return null;
    const start = at + headEnd + 4;
    const end = body.indexOf(delimiter, start - 2);
    const name = partName(body.toString('latin1', at + 2, at + headEnd));
    if (end < start || name === null) return null;
    if (name !== FILE) fields.push({ name, span: { start, end } });
    at = end + delimiter.length;
  }
  return null;
}

const FILE = Symbol('file');

/** Null where readers may differ about it. */
function partName(head: string): string | typeof FILE | null {
  const lines = head.split('\r\n');
  if (!lines.every((line) => HEAD_LINE.test(line))) return null;
  const own = lines.filter((line) => /^content-disposition\b/i.test(line));
  const disposition = own.length === 1 ? DISPOSITION.exec(own[0]!)?.[1] : undefined;
  if (disposition === undefined) return null;
  const parameters = [...disposition.matchAll(ONE_PARAMETER)].map(([, name = '', value = '']) => ({
    name: name.toLowerCase(),
    value,
  }));
  const names = parameters.map(({ name }) => name);
  if (!names.includes('name') || new Set(names).size !== names.length) return null;
  if (names.some((name) => name !== 'name')) return FILE;
  return parameters[0]!.value.replace(/^"(.*)"$/, '$1');
}
