import { FederationError } from '#src/core/errors.ts';
import type { PairingRequest } from '#src/core/pairing.ts';
import type { WaitingRequest } from '#src/core/request.ts';

/** One object for each request, so that who has looked at it knows it again. */
const looks = new WeakMap<PairingRequest, WaitingRequest>();

/** A node's wish as all that wait are shown and judged. */
export function waitingRequest(request: PairingRequest): WaitingRequest {
  const known = looks.get(request);
  if (known !== undefined) return known;
  const { nodeId, kind, facts, address, tailnet, isIdentified, token, rejected, firstAskedAt, lastAskedAt } = request;
  const look: WaitingRequest = {
    ...{ kind, id: nodeId, keyId: nodeId, name: facts.name, role: facts.role, address, tailnet, isIdentified },
    ...{ version: facts.version, openclawVersion: facts.openclaw, platform: facts.platform, arch: facts.arch },
    ...{ offers: facts.offers, commands: facts.commands, token: token?.name ?? null },
    ...{ rejected, firstAskedAt, lastAskedAt, expiresAt: null },
  };
  looks.set(request, look);
  return look;
}

export function noSuchRequest(word: string): FederationError {
  return new FederationError('REQUEST_NOT_FOUND', `nothing that waits for approval fits ${JSON.stringify(word)}`, {
    hint: 'manage-federation pending',
  });
}
