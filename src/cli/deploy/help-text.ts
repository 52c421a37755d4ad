import type { Command, HelpConfiguration } from 'commander';
import { Help } from 'commander';
import { wrapped } from '#src/cli/deploy/wrap.ts';

/**
 * Lets the help of a program, and of all its commands, fit the terminal; in a pipe 80 columns. To be called before
 * commands are added, which take it over.
 */
export function fitHelp(program: Command, more: HelpConfiguration = {}): Command {
  return program
    .configureHelp({ minWidthToWrap: MIN_PROSE, formatItem, ...more })
    .configureOutput({ writeOut: (text) => process.stdout.write(fitted(text, helpWidth())) });
}

/** Text below the help of a command: its prose is filled anew, for the width that there is. */
export function helpText(text: string): () => string {
  return () =>
    text
      .split('\n\n')
      .map((part) => filled(part, helpWidth()))
      .join('\n\n');
}

/** As narrow as prose may become beside what it explains. */
const MIN_PROSE = 20;

function helpWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : 80;
}

/** Where too little room is left beside the terms, what they mean stands below them. */
function formatItem(this: Help, term: string, termWidth: number, description: string, helper: Help): string {
  const width = helper.helpWidth ?? 80;
  if (description === '' || width - termWidth - 4 >= MIN_PROSE + 10) {
    return Help.prototype.formatItem.call(this, term, termWidth, description, helper);
  }
  return [`  ${term}`, ...wrapped('      ', description, width)].join('\n');
}

function filled(paragraph: string, width: number): string {
  if (/^ {2}/m.test(paragraph)) return paragraph;
  const words = paragraph.trim();
  const lead = paragraph.startsWith('\n') ? '\n' : '';
  const end = paragraph.endsWith('\n') ? '\n' : '';
  return `${lead}${wrapped('', words.replaceAll('\n', ' '), width).join('\n')}${end}`;
}

/** What is left too long goes on below, further in. */
function fitted(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => (line.length <= width ? [line] : folded(line, width)))
    .join('\n');
}

/** A command line of an example can still be copied: each of its lines but the last ends as the shell wants it. */
function folded(line: string, width: number): string[] {
  const lead = /^ */.exec(line)?.[0] ?? '';
  const isExample = lead.length === 2 && EXAMPLE.test(line);
  const words = line.trim().match(isExample ? /(?:"[^"]*"|'[^']*'|\S)+/g : /\S+ */g) ?? [];
  const [end, gap] = isExample ? [' \\', ' '] : ['', ''];
  const lines = [lead];
  for (const word of words) {
    const last = lines.at(-1)!;
    const isEmpty = last.trim() === '';
    const longer = `${last}${isEmpty ? '' : gap}${word}`;
    if (isEmpty || longer.trimEnd().length + end.length <= width) lines[lines.length - 1] = longer;
    else lines.push(`${lead}    ${word}`);
  }
  return lines.map((one, at) => `${one.trimEnd()}${at < lines.length - 1 ? end : ''}`);
}

const EXAMPLE = /^ {2}(?:\S+ .*\| )?(?:deploy-federation|manage-federation|auto-register|federation-\w+) /;
