import { visible } from '#src/core/action.ts';
import { block } from '#src/plugin/block.ts';

/** What OpenClaw shows of a question at most, in characters. */
const MAX_DESCRIPTION = 512;

/**
 * The question as a chat shows it to the last letter, or why it can't be. OpenClaw takes out what looks like a secret, and
 * chats read Markdown: either would show another command than the one that runs. What was not shown can't be approved; of
 * what a file is to hold, it is said where it is not. `content` is null where it is no text, undefined where there is none.
 */
export async function shownQuestion(
  question: string,
  content: string | null | undefined,
): Promise<{ text: string } | { problem: string }> {
  // OpenClaw's own code, which it loads for its plugins: there is none of it where the hub runs.
  const { redactSensitiveText } = await import('openclaw/plugin-sdk/security-runtime');
  const isWhole = (text: string): boolean =>
    text.length <= MAX_DESCRIPTION && redactSensitiveText(text, { mode: 'tools' }) === text;
  if (typeof content === 'string') {
    const both = fenced([question, `content: ${visible(content)}`]);
    if (isWhole(both)) return { text: both };
  }
  const text = content === undefined ? fenced([question]) : `${fenced([question])}\nIts content can’t be shown here.`;
  if (text.length > MAX_DESCRIPTION) return { problem: 'is too long to be shown whole at the question' };
  return isWhole(text)
    ? { text }
    : { problem: 'holds what looks like a secret, which OpenClaw does not show at the question' };
}

function fenced(lines: readonly string[]): string {
  return `This, and nothing else:\n${block(lines)}`;
}
