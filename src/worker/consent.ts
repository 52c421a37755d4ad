import { createHash } from 'node:crypto';
import type { Action } from '#src/core/action.ts';
import { actionText } from '#src/core/action.ts';
import type { Role } from '#src/core/node.ts';
import type { Asker, Verdict } from '#src/core/policy.ts';
import { consent } from '#src/core/policy.ts';
import type { UsedApproval } from '#src/protocol/approval.ts';

export interface Wanted {
  readonly asker: Asker;
  readonly action: Action;
  readonly approval?: UsedApproval | undefined;
}

/**
 * The node's own word on who may have something done here. The hub has judged before, and is not believed: where the
 * owner has to allow it, the approval has to be for this action on this node, and each is taken once.
 */
export interface Consent {
  /** `allow` or `deny`; an approval is not used up by the question. */
  judge(wanted: Wanted): Verdict;
  /** Uses up what `judge` has just let pass, when nothing else stands against it any more. */
  take(wanted: Wanted): void;
}

/**
 * Ids that are remembered, as long as the daemon runs. Of what is older than all of them nothing is known, so it counts
 * as taken.
 */
const MAX_TAKEN = 10_000;

export function createConsent(node: { id(): string; readonly role: Role }, maxTaken = MAX_TAKEN): Consent {
  const taken = new Set<string>();
  /** No id up to this one is taken any more. ULIDs are in the order of their time. */
  let floor = '';

  function judgeApproval(action: Action, approval: UsedApproval | undefined, rule: string): Verdict {
    const deny = (reason: string): Verdict => ({ kind: 'deny', rule: reason });
    if (approval === undefined) return deny(rule);
    if (approval.node !== node.id()) return deny('the approval is for another node');
    if (approval.action !== createHash('sha256').update(actionText(action)).digest('hex')) {
      return deny('the approval is for something else');
    }
    if (approval.id <= floor || taken.has(approval.id)) return deny('the approval was used already');
    return { kind: 'allow', rule: `approved by ${approval.by}` };
  }

  return {
    judge({ asker, action, approval }) {
      const verdict = consent(asker, node.role);
      return verdict.kind === 'approval' ? judgeApproval(action, approval, verdict.rule) : verdict;
    },
    take({ asker, approval }) {
      if (approval === undefined || consent(asker, node.role).kind !== 'approval') return;
      taken.add(approval.id);
      if (taken.size <= maxTaken) return;
      const oldest = [...taken].reduce((a, b) => (a < b ? a : b));
      taken.delete(oldest);
      floor = oldest;
    },
  };
}
