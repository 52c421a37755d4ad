import { FederationError } from '#src/core/errors.ts';
import { rejectionText } from '#src/core/models/explain.ts';
import type { Choice, Needs } from '#src/core/models/route.ts';

/** Hubs that a request may pass. */
export const MAX_HOPS = 3;

/** Throws LOOP_DETECTED for a request that has passed too many hubs. */
export function refuseEndless(hops: number): void {
  if (hops < MAX_HOPS) return;
  throw new FederationError('LOOP_DETECTED', `the request has passed ${hops} hubs, which is as many as it may`, {
    hint: 'an upstream leads back to the federation: manage-federation models list',
  });
}

/** Why nobody is asked, where there are candidates and none of them may serve. */
export function noneMayServe(asked: string, { rejected }: Choice, needs: Needs): FederationError {
  const all = (why: string) => rejected.every((one) => one.why === why);
  if (all('loop')) {
    return new FederationError('LOOP_DETECTED', `${asked} is only where the request came by`, {
      hint: 'an upstream leads back to the federation: manage-federation models list',
    });
  }
  if (all('endpoint')) {
    return new FederationError('MODEL_NOT_FOUND', `no node answers ${needs.endpoint} for ${asked}`, {
      hint: 'manage-federation models list',
    });
  }
  if (all('context')) {
    const most = Math.max(...rejected.map(({ candidate }) => candidate.offered.contextWindow ?? 0));
    return new FederationError('PAYLOAD_TOO_LARGE', `${needs.bytes} bytes do not fit the ${most} tokens of ${asked}`, {
      hint: 'shorten the conversation, or use a model with a larger context: manage-federation models list',
    });
  }
  const why = rejected
    .slice(0, 4)
    .map(({ candidate, why: reason }) => `${candidate.member.name}: ${rejectionText(reason, candidate, needs)}`);
  return new FederationError('MODEL_UNAVAILABLE', `${asked} can’t be served now (${why.join('; ')})`, {
    hint: `manage-federation models route --explain ${asked}`,
  });
}
