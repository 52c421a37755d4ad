/**
 * Every way in which the federation refuses or fails on purpose.
 * Codes cross the wire and are part of the interface: none is ever renamed.
 */
export const ERROR_CODES = [
  'USAGE',
  'SETTINGS_INVALID',
  'NODE_NOT_FOUND',
  'NODE_AMBIGUOUS',
  'NODE_OFFLINE',
  'NODE_NAME_INVALID',
  'NAME_TAKEN',
  'REQUEST_NOT_FOUND',
  'NOTHING_MATCHED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_USED',
  'REVOKED',
  'PENDING_FULL',
  'HUB_KEY_MISMATCH',
  'VERSION_UNSUPPORTED',
  'EPOCH_STALE',
  'HANDSHAKE_FAILED',
  'LINK_LOST',
  'LINK_REPLACED',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFIRMATION_NEEDED',
  'PAYLOAD_TOO_LARGE',
  'JOURNAL_FULL',
  'JOB_NOT_FOUND',
  'HUB_UNREACHABLE',
  'HUB_STOPPING',
  'GATEWAY_UNREACHABLE',
  'OPENCLAW_MISSING',
  'OPENCLAW_REFUSED',
  'PORT_IN_USE',
  'HOME_UNUSABLE',
  'STORE_DAMAGED',
  'STORE_FAILED',
  'ALREADY_RUNNING',
  'NOT_RUNNING',
  'START_FAILED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** What to do about it: usually the command to run. */
  readonly hint?: string;
  readonly cause?: unknown;
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

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.hint = details.hint;
  }
}

/** The body that crosses a wire; of a bug it says nothing but that it was one. */
export function errorBody(error: unknown): ErrorBody {
  if (!(error instanceof FederationError)) return { code: 'INTERNAL', message: 'internal error' };
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

const ENVIRONMENT_FAULTS: ReadonlySet<ErrorCode> = new Set([
  'HUB_UNREACHABLE',
  'HUB_STOPPING',
  'GATEWAY_UNREACHABLE',
  'OPENCLAW_MISSING',
  'OPENCLAW_REFUSED',
  'PORT_IN_USE',
  'HOME_UNUSABLE',
  'STORE_DAMAGED',
  'STORE_FAILED',
  'ALREADY_RUNNING',
  'NOT_RUNNING',
  'START_FAILED',
  'HANDSHAKE_FAILED',
  'INTERNAL',
]);

const TARGET_FAULTS: ReadonlySet<ErrorCode> = new Set(['NODE_NOT_FOUND', 'NODE_AMBIGUOUS', 'NOTHING_MATCHED']);

/** Exit code of a command that an error ended: 1 a fault of this machine, 3 no such target, 2 wrong use. */
export function exitCodeOf(code: ErrorCode): number {
  if (ENVIRONMENT_FAULTS.has(code)) return 1;
  return TARGET_FAULTS.has(code) ? 3 : 2;
}
