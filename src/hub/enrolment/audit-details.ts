import type { Member } from '#src/core/member.ts';
import type { Asking, PairingRequest } from '#src/core/pairing.ts';
import type { AuditDetail } from '#src/hub/enrolment/membership.ts';

/** As the audit names who did it by itself: no operator, nor anything of ours, can be named so. */
export const BY_NODE = 'node:';

export function byNode(name: string): string {
  return `${BY_NODE}${name}`;
}

/** What a record holds of whoever asks. */
export function identityDetail({ nodeId, facts, address, tailnet }: Asking): AuditDetail {
  return { node: facts.name, id: nodeId, role: facts.role, address, machine: tailnet?.stableId ?? null };
}

/** What a record holds of a request. */
export function requestDetail(request: PairingRequest): AuditDetail {
  return { ...identityDetail(request), kind: request.kind };
}

/** What a record holds of a member. */
export function namedDetail({ name, id }: Member): AuditDetail {
  return { node: name, id };
}
