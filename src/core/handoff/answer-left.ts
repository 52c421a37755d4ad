/** What an agent has said so far, as far as it takes to know what of its whole answer was not among it. */
export interface AnswerLeft {
  said(text: string): void;
  /** What was said before is of no account any more. */
  anew(): void;
  /** The whole answer; '' where it was the last that was said. */
  left(answer: string): string;
}

/** Longer than any answer, in characters. */
const KEPT = 256 * 1024;

/**
 * An agent’s words come in pieces, and its answer once more as a whole. Gateways lay out the two differently, so blanks don’t
 * count; where words were lost on their way, or there were none, the answer is still to be told.
 */
export function answerLeft(): AnswerLeft {
  let letters = '';
  return {
    said(text) {
      letters += lettersOf(text);
      if (letters.length > 2 * KEPT) letters = letters.slice(-KEPT);
    },
    anew() {
      letters = '';
    },
    left: (answer) => (letters.endsWith(lettersOf(answer)) ? '' : answer),
  };
}

function lettersOf(text: string): string {
  return text.replace(/\s+/g, '');
}
