import { FederationError } from '#src/core/errors.ts';
import { fingerprint } from '#src/core/node.ts';
import type { OperatorRequest } from '#src/core/operator-request.ts';
import { OPERATOR_REQUEST_LIFE_MS } from '#src/core/operator-request.ts';
import type { WaitingRequest } from '#src/core/request.ts';

/** The looks of each request, so that who has looked at it knows it again: while it holds a line, and without one. */
const looks = new WeakMap<OperatorRequest, Map<boolean, WaitingRequest>>();

/** A wish to operate as all that wait are shown and judged. */
export function operatorLook(request: OperatorRequest, holdsLine: boolean): WaitingRequest {
  const own = looks.get(request) ?? new Map<boolean, WaitingRequest>();
  looks.set(request, own);
  const known = own.get(holdsLine);
  if (known !== undefined) return known;
  const { keyId, name, address, tailnet, version, platform, arch, rejected, firstAskedAt, lastAskedAt } = request;
  const look: WaitingRequest = {
    ...{ kind: 'operator', id: keyId, keyId, name, role: 'operator', address, tailnet, version, platform, arch },
    ...{
      isIdentified: true,
      openclawVersion: null,
      offers: [],
      commands: [],
      token: null,
      rejected,
      firstAskedAt,
      lastAskedAt,
    },
    expiresAt: holdsLine ? null : lastAskedAt + OPERATOR_REQUEST_LIFE_MS,
  };
  own.set(holdsLine, look);
  return look;
}

export function keyRevoked(): FederationError {
  return new FederationError('REVOKED', 'this operator’s key was revoked', {
    hint: 'manage-federation logout, then login again, which makes a new key',
  });
}

export function keyUnknown(): FederationError {
  return new FederationError('UNAUTHENTICATED', 'the hub does not know this operator’s key', {
    hint: 'manage-federation login HUB',
  });
}

export function waitsStill(keyId: string): FederationError {
  return new FederationError('UNAUTHENTICATED', 'this operator’s key waits for approval', {
    hint: `on the master: manage-federation pending, then approve ${fingerprint(keyId)}`,
  });
}

export function rejectedOperator(keyId: string): FederationError {
  return new FederationError('FORBIDDEN', 'this operator’s key was rejected', {
    hint: `on the master, if that was a mistake: manage-federation approve ${fingerprint(keyId)}`,
  });
}

export function oneKeyForEach(): FederationError {
  return new FederationError('FORBIDDEN', 'a node and an operator can’t have the same key', {
    hint: 'let each make its own: remove the file that was copied',
  });
}
