import type { Readable } from 'node:stream';

const MAX_LINE = 4096;

/** Calls with each line of a program's output; of a longer one with its first 4096 characters. */
export function onLines(stream: Readable, listener: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) emit(line);
  });
  stream.on('end', () => emit(rest));
  // A pipe that breaks has nothing more to say.
  stream.on('error', () => undefined);

  function emit(line: string): void {
    const text = line.trimEnd().slice(0, MAX_LINE);
    if (text !== '') listener(text);
  }
}
