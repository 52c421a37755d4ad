/** What OpenClaw shows of a question at most, in characters. */
const MAX_DESCRIPTION = 512;

/**
 * The question as a chat shows it to the last letter, or why it can't be. OpenClaw takes out what looks like a secret, and
 * chats read Markdown: either would show another command than the one that runs. What was not shown can't be approved.
 */
export async function shownQuestion(question: string): Promise<{ text: string } | { problem: string }> {
  const text = `This, and nothing else:\n${fenced(question)}`;
  if (text.length > MAX_DESCRIPTION) return { problem: 'is too long to be shown whole at the question' };
  // OpenClaw's own code, which it loads for its plugins: there is none of it where the hub runs.
  const { redactSensitiveText } = await import('openclaw/plugin-sdk/security-runtime');
  if (redactSensitiveText(text, { mode: 'tools' }) === text) return { text };
  return { problem: 'holds what looks like a secret, which OpenClaw does not show at the question' };
}

/** A block in which nothing is Markdown; a question is one line. */
function fenced(line: string): string {
  const longest = Math.max(0, ...Array.from(line.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return `${fence}\n${line.replaceAll('\n', '⏎')}\n${fence}`;
}
