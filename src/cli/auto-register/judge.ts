import type { HubApi } from '#src/adapters/hub.ts';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Judgement, PolicyStatus } from '#src/protocol/hub-api/judgement.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

export interface JudgeOptions {
  readonly dryRun: boolean;
  readonly approveEverything: boolean;
}

export interface Judged extends Judgement, Pick<PairingRequestView, 'kind' | 'id' | 'name' | 'fingerprint'> {}

/** Those that the rules can do something about: what was rejected stays out until a person lets it in. */
export async function waitingRequests(hub: HubApi): Promise<PairingRequestView[]> {
  const requests = await hub.ask<PairingRequestView[]>('GET', '/pairing-requests');
  return requests.filter(({ rejected }) => !rejected);
}

/**
 * What is wrong with the rules file, where those from before judge instead; null where nothing is.
 * Throws SETTINGS_INVALID where there are none from before: nothing would be judged by any rule.
 */
export async function brokenRules(hub: HubApi, { approveEverything }: JudgeOptions): Promise<PolicyStatus | null> {
  const { policy } = await hub.ask<Status>('GET', '/status');
  const { rules, problem } = approveEverything ? policy.everybody : policy;
  if (problem === null) return null;
  if (rules > 0) return { ...policy, rules, problem };
  throw new FederationError('SETTINGS_INVALID', `approval-policy.yaml can’t be used, and judges nobody: ${problem}`, {
    hint: 'mend the file in the hub’s home; manage-federation status says whether it can be used',
  });
}

/** What the hub made of a request; null where it waits no longer. */
export async function judgeOne(
  hub: HubApi,
  { kind, id, name, fingerprint }: PairingRequestView,
  options: JudgeOptions,
): Promise<Judged | null> {
  try {
    const judgement = await hub.ask<Judgement>('POST', `/pairing-requests/${id}/judge`, options);
    return { kind, id, name, fingerprint, ...judgement };
  } catch (error) {
    if (error instanceof FederationError && error.code === 'REQUEST_NOT_FOUND') return null;
    throw error;
  }
}

const AWAY: ReadonlySet<ErrorCode> = new Set(['HUB_UNREACHABLE', 'HUB_STOPPING']);

/** Whether it says that the hub can’t be asked now, which says nothing of what it was asked. */
export function isAway({ code }: FederationError): boolean {
  return AWAY.has(code);
}
