import wrapAnsi from 'wrap-ansi';

/** Columns of a terminal; what goes into a pipe is not wrapped. */
export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY ? stream.columns : Infinity;
}

/** `text` behind `mark`, in lines of at most `width` columns, broken between words; all begin at the same column. */
export function wrapped(mark: string, text: string, width: number): string[] {
  const lines = wrapAnsi(text, width - mark.length).split('\n');
  return lines.map((line, at) => `${at === 0 ? mark : ' '.repeat(mark.length)}${line}`);
}
