import { errorBody, exitCodeOf, FederationError } from '#src/core/errors.ts';
import { scrub } from '#src/core/secrets.ts';

/**
 * Words for the person, on standard error: standard output is for results. They may hold words of a node, which could
 * be made to steer the terminal.
 */
export function say(text: string): void {
  process.stderr.write(`${harmless(scrub(text))}\n`);
}

/**
 * Two lines, what is wrong and what to do, or the same as JSON; returns the exit code. A stack is shown only for a
 * bug of ours.
 */
export function reportError(error: unknown, options: { readonly json: boolean } = { json: false }): number {
  const body = errorBody(error);
  if (options.json) process.stdout.write(`${scrub(harmlessJson(body))}\n`);
  if (error instanceof FederationError) {
    if (!options.json) {
      say(`error: ${oneLine(error.message)}`);
      if (error.hint !== undefined) say(`  try: ${oneLine(error.hint)}`);
    }
  } else {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return exitCodeOf(body.code);
}

/** A message is one line, also where it repeats what somebody else wrote. */
function oneLine(text: string): string {
  return text.replaceAll('\n', '\u240a');
}

/** JSON that cannot, and says the same: what JSON itself lets stand is written as its number. */
export function harmlessJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}

/**
 * Text of others that cannot steer a terminal: control characters become visible pictures of themselves
 * (Unicode block "Control Pictures"), so that nothing moves the cursor, renames the window or hides a line.
 * Line feed and tab stay.
 */
export function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are the characters that are looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.codePointAt(0)!;
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}
