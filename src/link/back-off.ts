/** Times in milliseconds. */
export interface BackOff {
  readonly minMs: number;
  readonly maxMs: number;
  /** For a node that a person has to decide about first. */
  readonly patientMs: number;
}

export const BACK_OFF: BackOff = { minMs: 1000, maxMs: 5000, patientMs: 60_000 };

/**
 * Time before the next attempt after `failures` (0 after a link that worked). `random` is in [0, 1): a thousand nodes
 * that lost one hub must not come back in one moment.
 */
export function retryDelayMs(backOff: BackOff, failures: number, random: number): number {
  const ceiling = Math.min(backOff.maxMs, backOff.minMs * 2 ** Math.min(failures + 1, 30));
  return backOff.minMs + random * (ceiling - backOff.minMs);
}

/** Within a quarter of `patientMs` to either side. */
export function patientDelayMs(backOff: BackOff, random: number): number {
  return backOff.patientMs * (0.75 + random / 2);
}
