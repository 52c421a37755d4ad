import type { Ending, Outcome, Summary } from '#src/core/outcome.ts';
import { OUTCOMES } from '#src/core/outcome.ts';

/** `2 ok, 1 failed`, in the order of the outcomes. */
export function summaryText(summary: Summary): string {
  const parts = OUTCOMES.filter((outcome) => (summary[outcome] ?? 0) > 0).map(
    (outcome) => `${summary[outcome]} ${outcome}`,
  );
  return parts.join(', ') || 'nothing ran';
}

interface Told extends Ending {
  readonly reason: string | null;
}

const WORDS: Readonly<Record<Outcome, (result: Told) => string>> = {
  ok: () => 'ok',
  failed: ({ exitCode, reason }) => reason ?? `exit ${exitCode}`,
  signaled: ({ signal }) => `ended by ${signal}`,
  timeout: () => 'timed out and was ended',
  unreachable: ({ reason }) => `never ran: ${reason}`,
  unknown: ({ reason }) => `unknown: ${reason}`,
  cancelled: ({ reason }) => (reason === null ? 'cancelled' : `cancelled: ${reason}`),
  skipped: () => 'skipped',
  denied: ({ reason }) => `denied: ${reason}`,
};

/** How one part ended, in words. */
export function resultText(result: Told): string {
  return WORDS[result.outcome](result);
}
