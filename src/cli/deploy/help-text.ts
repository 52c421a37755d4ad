import { widthOf, wrapped } from '#src/cli/deploy/wrap.ts';

/** Text below the help of a command: its prose fits the terminal, and commands stay whole, so that they can be copied. */
export function helpText(text: string): () => string {
  return () => {
    const width = widthOf(process.stdout);
    const parts = width === Infinity ? [text] : text.split('\n\n').map((part) => fitted(part, width));
    return parts.join('\n\n');
  };
}

function fitted(paragraph: string, width: number): string {
  if (/^ {2}/m.test(paragraph)) return paragraph;
  const words = paragraph.trim();
  const lead = paragraph.startsWith('\n') ? '\n' : '';
  const end = paragraph.endsWith('\n') ? '\n' : '';
  return `${lead}${wrapped('', words.replaceAll('\n', ' '), width).join('\n')}${end}`;
}
