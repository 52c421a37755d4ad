import type { ErrorCode } from '#src/core/errors.ts';
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

/** As it is told to a program with a key, which is to learn of no nodes and models beside its own. */
export function withoutNames(error: FederationError): FederationError {
  const message = NAMELESS[error.code];
  if (message === undefined) return error;
  return new FederationError(error.code, message, {
    cause: error,
    hint: 'GET /v1/models lists what this key is for',
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}

const NAMELESS: Readonly<Partial<Record<ErrorCode, string>>> = {
  NODE_NOT_FOUND: 'there is no such node',
  NODE_AMBIGUOUS: 'there is no such node',
  MODEL_NOT_FOUND: 'there is no such model there',
  MODEL_UNAVAILABLE: 'the model can’t be served now',
};

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
