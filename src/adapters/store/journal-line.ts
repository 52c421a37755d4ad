import type { ExitRecord } from '#src/core/outcome.ts';

/**
 * The journal's grammar, one JSON value a line:
 *
 *     {"start":ID,"boot":BOOT,"at":MS}     before the process is started
 *     {"end":ID,"exit":EXIT}               after it was seen to end
 */
export interface Entry {
  readonly boot: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The exit record as JSON: thousands are kept, and hardly any is asked for. Null until the end. */
  end: string | null;
}

export function startLine(id: string, { boot, at }: Entry): string {
  return `${JSON.stringify({ start: id, boot, at })}\n`;
}

export function endLine(id: string, end: string): string {
  return `{"end":${JSON.stringify(id)},"exit":${end}}\n`;
}

export function linesOf(entries: Iterable<readonly [string, Entry]>): string {
  let text = '';
  for (const [id, entry] of entries) text += startLine(id, entry) + (entry.end === null ? '' : endLine(id, entry.end));
  return text;
}

/** Entries in the order of their start. Lines that were cut short say nothing. */
export function readEntries(text: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const line of text.split('\n')) {
    const { start, boot, at, end, exit } = parse(line);
    if (typeof start === 'string' && typeof boot === 'string' && typeof at === 'number') {
      entries.set(start, { boot, at, end: null });
    }
    const entry = typeof end === 'string' ? entries.get(end) : undefined;
    if (entry !== undefined && isExitRecord(exit)) entry.end = JSON.stringify(exit);
  }
  return entries;
}

/** The exit record in an entry's `end`. Throws on anything else: nothing but a bug puts it there. */
export function exitOf(end: string): ExitRecord {
  const exit: unknown = JSON.parse(end);
  if (!isExitRecord(exit)) throw new Error('not an exit record');
  return exit;
}

const TYPES: Readonly<Record<keyof ExitRecord, readonly string[]>> = {
  exitCode: ['number', 'null'],
  signal: ['string', 'null'],
  ended: ['string'],
  spawnError: ['string', 'undefined'],
  durationMs: ['number'],
  stdoutBytes: ['number'],
  stderrBytes: ['number'],
  truncated: ['boolean'],
  survivors: ['number'],
};

function isExitRecord(value: unknown): value is ExitRecord {
  if (typeof value !== 'object' || value === null) return false;
  const fields: ReadonlyMap<string, unknown> = new Map(Object.entries(value));
  return Object.entries(TYPES).every(([key, types]) => {
    const field = fields.get(key);
    return types.includes(field === null ? 'null' : typeof field);
  });
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
