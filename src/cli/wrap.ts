/** Width of the terminal that words go to; in a pipe nothing is wrapped. */
export function screenWidth(): number {
  return process.stderr.isTTY ? process.stderr.columns : Infinity;
}

/** Lines of at most `width` characters, broken between words; those behind the first begin below `indent` blanks. */
export function wrapped(text: string, indent: number, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width || line.trim() === '') {
      line = longer;
      continue;
    }
    lines.push(line);
    line = `${' '.repeat(indent)}${word}`;
  }
  return [...lines, line];
}
