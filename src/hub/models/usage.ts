import type { Consumer } from '#src/core/models/key.ts';

export interface TokenCount {
  readonly input: number;
  readonly output: number;
  /** Of the input, what the upstream had already. */
  readonly cached: number;
}

/** One request to a model, when it is over. Of the prompt and the answer it holds nothing. */
export interface UsageRecord {
  readonly consumer: Consumer;
  /** Id of the node that answered, or was tried last; null where none was. */
  readonly node: string | null;
  /** As it is offered; null where nothing that was asked for is. */
  readonly model: string | null;
  readonly endpoint: string;
  /** Of the answer to the client; null where it got none. */
  readonly status: number | null;
  readonly attempts: number;
  /** Null where the upstream did not say. */
  readonly tokens: TokenCount | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
  /** The client went away, or the answer broke off. */
  readonly aborted: boolean;
}

export interface UsageBook {
  record(record: UsageRecord): void;
}
