import { appendFileSync } from 'node:fs';

/** Appends whole lines to a file that only its owner may read. */
export function logFile(path: string): (line: string) => void {
  return (line) => appendFileSync(path, line, { mode: 0o600 });
}
