import type { ErrorCode, FederationError } from '#src/core/errors.ts';

/** What it means that a node does not take what it is given: each proves that it has not begun there. */
export type Refusal =
  /** Another node may, or this one later. */
  | 'not-now'
  /** This one never will. */
  | 'never';

const NOT_NOW: ReadonlySet<ErrorCode> = new Set([
  ...(['QUEUE_FULL', 'GATEWAY_UNREACHABLE', 'DISK_FULL', 'AGENT_NOT_FOUND', 'LOCKED_DOWN', 'PENDING_FULL'] as const),
]);
const NEVER: ReadonlySet<ErrorCode> = new Set([
  ...(['FORBIDDEN', 'USAGE', 'PAYLOAD_TOO_LARGE', 'OPENCLAW_REFUSED', 'MACHINE_UNSUPPORTED'] as const),
]);

/** Null where it proves nothing of the kind. */
export function refusalOf(error: FederationError): Refusal | null {
  if (NOT_NOW.has(error.code)) return 'not-now';
  return NEVER.has(error.code) ? 'never' : null;
}

/** Whether it is the hub that failed to keep what it has to. */
export function isOfStore({ code }: FederationError): boolean {
  return code === 'STORE_FAILED' || code === 'STORE_DAMAGED';
}
