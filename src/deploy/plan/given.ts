import type { Scope } from '#src/deploy/place.ts';

/** What a plan needs besides facts and wishes, so that it stays a pure function of its arguments. */
export interface Given {
  readonly release: {
    /** Its folder: version and hash of what it holds. */
    readonly name: string;
    /** Its own Node, below that folder; null where the machine's is used. */
    readonly node: string | null;
  };
  /** Text of a unit's template. */
  readonly unit: (scope: Scope, name: string) => string;
  /** 32 random bytes, hex. */
  readonly secret: string;
}
