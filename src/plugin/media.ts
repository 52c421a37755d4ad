import { harmless } from '#src/adapters/terminal.ts';

interface Kind {
  readonly type: string;
  readonly magic: (bytes: Buffer) => boolean;
}

const begins = (hex: string) => (bytes: Buffer) => bytes.subarray(0, hex.length / 2).toString('hex') === hex;
const isRiff = (kind: string) => (bytes: Buffer) =>
  bytes.subarray(0, 4).toString('latin1') === 'RIFF' && bytes.subarray(8, 12).toString('latin1') === kind;

/** Told by what stands in a file, not by its name: a name is what somebody wrote there. */
const PICTURES: readonly Kind[] = [
  { type: 'image/png', magic: begins('89504e470d0a1a0a') },
  { type: 'image/jpeg', magic: begins('ffd8ff') },
  { type: 'image/gif', magic: (bytes) => /^GIF8[79]a/.test(bytes.subarray(0, 6).toString('latin1')) },
  { type: 'image/webp', magic: isRiff('WEBP') },
];
const OTHERS: readonly Kind[] = [
  { type: 'application/pdf', magic: begins('255044462d') },
  { type: 'application/zip', magic: begins('504b0304') },
  { type: 'application/gzip', magic: begins('1f8b') },
];

/** Type of a file by its first bytes. */
export function mimeOf(bytes: Buffer, path = ''): string {
  const kind = [...PICTURES, ...OTHERS].find(({ magic }) => magic(bytes));
  if (kind !== undefined) return kind.type;
  if (textOf(bytes, true) === null) return 'application/octet-stream';
  return /\.json$/i.test(path) ? 'application/json' : 'text/plain';
}

export function isPicture(type: string): boolean {
  return PICTURES.some((kind) => kind.type === type);
}

/** Type of what an OpenClaw node calls `format`; null for what is no picture that a chat shows. */
export function pictureType(format: string): string | null {
  const name = format.toLowerCase().replace('jpg', 'jpeg');
  return PICTURES.find(({ type }) => type === `image/${name}`)?.type ?? null;
}

/** Longest beginning of one character of UTF-8 that a cut can leave at an end. */
const CUT_BYTES = 3;

/** The bytes as text; null where they are none. `isCut`: the last character may be torn. */
export function textOf(bytes: Buffer, isCut = false): string | null {
  if (bytes.includes(0)) return null;
  for (let left = 0; left <= (isCut ? CUT_BYTES : 0); left++) {
    const part = bytes.subarray(0, bytes.length - left);
    try {
      return harmless(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part));
    } catch {
      // Tried with a byte less.
    }
  }
  return null;
}
