import { setTimeout as pause } from 'node:timers/promises';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';

const PASSING: ReadonlySet<ErrorCode> = new Set(['HUB_UNREACHABLE', 'HUB_STOPPING', 'LINK_LOST', 'HANDSHAKE_FAILED']);

/** Whether it says that nobody answered, and not what the answer is. */
export function isAbsence(error: unknown): error is FederationError {
  return error instanceof FederationError && PASSING.has(error.code);
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;

/** Waits between attempts to reach a hub that is away, ever longer. */
export interface Absence {
  /**
   * Waits before the next attempt, where the hub may be back by then. Throws the reason of the signal, and the error
   * itself where it is an answer, or where the hub was away for longer than is waited for.
   */
  next(error: unknown): Promise<void>;
  /** It is there. */
  end(): void;
}

export interface AbsenceOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for which a hub may be away; Infinity: as long as it takes. */
  readonly patienceMs: number;
  /** Told once for each absence. */
  readonly onAway: (problem: string) => void;
}

export function absence({ signal, patienceMs, onAway }: AbsenceOptions): Absence {
  let pauseMs = FIRST_PAUSE_MS;
  let since: number | null = null;
  /** A hub that was started anew knows none of the credentials of before, and who asks may find that out first here. */
  let isCredentialTried = false;

  function isPassing(error: unknown): error is FederationError {
    if (isAbsence(error)) return true;
    const isCredential = error instanceof FederationError && error.code === 'UNAUTHENTICATED';
    if (!isCredential || isCredentialTried) return false;
    isCredentialTried = true;
    return true;
  }

  return {
    async next(error) {
      signal.throwIfAborted();
      const isLong = since !== null && performance.now() - since > patienceMs;
      if (!isPassing(error) || isLong) throw error;
      if (since === null) onAway(error.message);
      since ??= performance.now();
      // Many that lost one hub must not come back in one moment.
      const ms = pauseMs * (0.75 + Math.random() / 2);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      await pause(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
    },
    end() {
      since = null;
      pauseMs = FIRST_PAUSE_MS;
      isCredentialTried = false;
    },
  };
}
