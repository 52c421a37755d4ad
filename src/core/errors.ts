/**
 * Every way in which the federation refuses or fails on purpose, with the exit code of a command that it ends:
 * 1 a fault of this machine or of what should run on it, 2 wrong use or settings, 3 no such target.
 * Codes cross the wire and are part of the interface: none is ever renamed.
 */
const EXIT_CODES = {
  USAGE: 2,
  SETTINGS_INVALID: 2,
  NODE_NAME_INVALID: 2,
  NAME_TAKEN: 2,
  HELD: 2,
  TOKEN_INVALID: 2,
  TOKEN_EXPIRED: 2,
  KEY_ROTATED: 2,
  LOCKED_DOWN: 2,
  REVOKED: 2,
  PENDING_FULL: 2,
  HUB_KEY_MISMATCH: 2,
  VERSION_UNSUPPORTED: 2,
  EPOCH_STALE: 2,
  LINK_LOST: 2,
  LINK_REPLACED: 2,
  UNAUTHENTICATED: 2,
  FORBIDDEN: 2,
  CONFIRMATION_NEEDED: 2,
  PAYLOAD_TOO_LARGE: 2,
  MACHINE_UNSUPPORTED: 2,
  OPENCLAW_UNSUPPORTED: 2,
  ROLE_DIFFERS: 2,
  NOT_A_HUB: 2,
  APPROVAL_NEEDED: 2,
  APPROVAL_OVER: 2,
  PATH_DENIED: 2,
  FILE_TOO_LARGE: 2,
  FILE_CHANGED: 2,
  TOOL_DENIED: 2,
  BUDGET_EXCEEDED: 2,
  LOOP_DETECTED: 2,
  HANDOFF_CONFLICT: 2,
  DEADLINE_OVER: 2,
  NODE_NOT_FOUND: 3,
  REQUEST_NOT_FOUND: 3,
  JOB_NOT_FOUND: 3,
  NOT_FOUND: 3,
  PATH_NOT_FOUND: 3,
  MODEL_NOT_FOUND: 3,
  AGENT_NOT_FOUND: 3,
  HANDOFF_NOT_FOUND: 3,
  NODE_AMBIGUOUS: 3,
  NOTHING_MATCHED: 3,
  HANDSHAKE_FAILED: 1,
  HUB_UNREACHABLE: 1,
  HUB_STOPPING: 1,
  GATEWAY_UNREACHABLE: 1,
  OPENCLAW_MISSING: 1,
  OPENCLAW_REFUSED: 1,
  TOOL_FAILED: 1,
  MODEL_UNAVAILABLE: 1,
  MODELS_BUSY: 1,
  QUEUE_FULL: 1,
  UPSTREAM_FAILED: 1,
  JOURNAL_FULL: 1,
  OUTPUT_LOST: 1,
  PORT_IN_USE: 1,
  HOME_UNUSABLE: 1,
  STORE_DAMAGED: 1,
  STORE_FAILED: 1,
  ALREADY_RUNNING: 1,
  NOT_RUNNING: 1,
  NOT_USABLE: 1,
  START_FAILED: 1,
  MACHINE_UNREACHABLE: 1,
  SUDO_REFUSED: 1,
  PROGRAM_MISSING: 1,
  TAILNET_DOWN: 1,
  STEP_FAILED: 1,
  DISK_FULL: 1,
  INTERNAL: 1,
} as const;

export type ErrorCode = keyof typeof EXIT_CODES;

export const ERROR_CODES = Object.keys(EXIT_CODES) as [ErrorCode, ...ErrorCode[]];

export function exitCodeOf(code: ErrorCode): number {
  return EXIT_CODES[code];
}

export interface ErrorDetails {
  /** What to do about it: usually the command to run. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** When it is worth another try, in milliseconds from now. */
  readonly retryAfterMs?: number;
}

/** What a person or a program is told: one sentence, and one that says what to do. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

/** A failure that is expected and explained. Anything else that is thrown is a bug of ours. */
export class FederationError extends Error {
  override readonly name = 'FederationError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.hint = details.hint;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The body that crosses a wire; of a bug it says nothing but that it was one. */
export function errorBody(error: unknown): ErrorBody {
  if (!(error instanceof FederationError)) return { code: 'INTERNAL', message: 'internal error' };
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}
