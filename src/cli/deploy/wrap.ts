/** Columns of a terminal; what goes into a pipe is not wrapped. */
export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY ? stream.columns : Infinity;
}

/** `text` behind `mark`, in lines of at most `width` characters, broken between words; all begin at the same column. */
export function wrapped(mark: string, text: string, width: number): string[] {
  const room = width - mark.length;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && longer.length > room) lines.push(line);
    line = line !== '' && longer.length > room ? word : longer;
  }
  return [...lines, line].map((part, at) => `${at === 0 ? mark : ' '.repeat(mark.length)}${part}`);
}
