import type { UnitName } from '#src/deploy/unit.ts';

/** What a plan needs besides facts and wishes, so that it stays a pure function of its arguments. */
export interface Given {
  readonly release: {
    /** Its folder: version and hash of what it holds. */
    readonly name: string;
    /** Its own Node, below that folder; null where the machine's is used. */
    readonly node: string | null;
  };
  /** Text of a unit's template, for the scope that is deployed in. */
  readonly unit: (name: UnitName) => string;
  /** Rules for approval, as an example. */
  readonly policyExample: string;
  /** 32 random bytes, hex. */
  readonly secret: string;
  /** Of the Telegram bot, where the person has given it now. */
  readonly telegramToken?: string;
}
