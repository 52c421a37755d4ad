import type { Consumer } from '#src/core/models/key.ts';

/** The keys by which other programs use the federation's models. */
export interface ModelKeys {
  /** Whose secret it is (`ocfm_…`); null where it is nobody's, or not any more. */
  authenticate(secret: string): Consumer | null;
  /**
   * Lets a request in and reserves what it may cost, until `UsageBook.record` says what it did: exactly one record for
   * each. Throws FORBIDDEN, BUDGET_EXCEEDED, and MODELS_BUSY where the key asks too often.
   */
  admit(consumer: Consumer, model: string): void;
}
