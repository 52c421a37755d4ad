import { appendFileSync } from 'node:fs';

/** Appends whole lines to a file that only its owner may read. */
export function logFile(path: string): (line: string) => void {
  return (line) => {
    try {
      appendFileSync(path, line, { mode: 0o600 });
    } catch {
      // A log that can't be written (its disk is full) is no reason to stop what it is about.
    }
  };
}
