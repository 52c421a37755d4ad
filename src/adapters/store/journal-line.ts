import type { ExitRecord } from '#src/core/outcome.ts';
import { exitRecordSchema } from '#src/protocol/worker-api.ts';

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
    if (entry !== undefined && exitRecordSchema.safeParse(exit).success) entry.end = JSON.stringify(exit);
  }
  return entries;
}

export function exitOf(end: string): ExitRecord {
  return exitRecordSchema.parse(JSON.parse(end));
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
