import type { OfferedModel } from '#src/core/models/catalog.ts';

/** A model server as its requests are sent to it, with what they prove themselves by. Nothing of it leaves this node. */
export interface Upstream {
  readonly name: string;
  readonly api: 'openai' | 'anthropic';
  /** http(s), without a slash at its end: `/v1/x` of ours is `/x` behind it. */
  readonly baseUrl: string;
  /** With its key, read from the file or the environment. */
  readonly headers: Readonly<Record<string, string>>;
  readonly concurrency: number;
  readonly timeouts: UpstreamTimeouts;
}

/** Milliseconds. */
export interface UpstreamTimeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** Null: as long as it takes. */
  readonly totalMs: number | null;
}

/** What this node shares now. */
export interface Shares {
  upstream(name: string): Upstream | undefined;
  offered(): readonly OfferedModel[];
}
