import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { fingerprint } from '#src/core/node.ts';

/** What a node is told that does not get in, or not now. */
export function revoked(nodeId: string): FederationError {
  return new FederationError('REVOKED', 'this node was revoked', {
    hint: `on the master: manage-federation approve ${fingerprint(nodeId)}`,
  });
}

export function rejected(nodeId: string): FederationError {
  return new FederationError('FORBIDDEN', 'this node was rejected', {
    hint: `on the master, if that was a mistake: manage-federation approve ${fingerprint(nodeId)}`,
  });
}

/** To the former key of `member`. */
export function rotated({ id, name }: Member): FederationError {
  return new FederationError('KEY_ROTATED', `this node has another key by now (${fingerprint(id)})`, {
    hint: `if that was not you, on the master: manage-federation revoke ${name}`,
  });
}

export function unasked(problem: string): FederationError {
  return new FederationError('TAILNET_DOWN', `the master’s tailnet can’t say which machine this is: ${problem}`, {
    hint: 'on the master: tailscale status',
  });
}
