import type { HandoffOutcome } from '#src/core/handoff/state.ts';

const EXIT_CODES: Readonly<Record<HandoffOutcome, number>> = {
  completed: 0,
  failed: 1,
  lost: 4,
  expired: 124,
  cancelled: 130,
};

/** Exit code of who waited for the end of a handoff; `expired` and `cancelled` as `exec` has them. */
export function handoffExitCode(outcome: HandoffOutcome): number {
  return EXIT_CODES[outcome];
}
