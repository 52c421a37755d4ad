import type { Action } from '#src/core/action.ts';
import { actionQuestion } from '#src/core/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { mayReach } from '#src/core/handoff/reach.ts';
import type { Member } from '#src/core/member.ts';
import type { Asker, Verdict } from '#src/core/policy.ts';
import { consent, consentToCommand } from '#src/core/policy.ts';
import { actionHash } from '#src/hub/approvals/action-detail.ts';
import type { CommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import type { Targets } from '#src/hub/fleet/targets.ts';
import type { Verdicts, VerdictsCreate } from '#src/protocol/action.ts';
import type { UsedApproval } from '#src/protocol/approval.ts';

/** That something may be done now, on the nodes that it was asked for. */
export interface Permit {
  /** Who allowed it, where somebody had to. */
  readonly approval: { readonly id: string; readonly by: string } | null;
  /** What the node is to be shown; undefined where it needs no approval. */
  approvalFor(member: Pick<Member, 'id'>): UsedApproval | undefined;
}

/** What it takes to know of a node who may do what there. */
export type PermitTarget = Pick<Member, 'id' | 'name' | 'role'> & {
  /** It has no worker daemon, which would judge once more: OpenClaw’s own node host or app alone. */
  readonly isLight?: boolean;
};

export interface Wanted {
  readonly asker: Asker;
  readonly action: Action;
  readonly members: readonly PermitTarget[];
  /** Id of the approval that it is to be done by. */
  readonly approval?: string | undefined;
}

/** Who may do what where; and once more at the node itself. */
export interface Permits {
  /** What would be said of an action; asks the owner where that is needed. Nothing is done. */
  verdicts(
    wish: { readonly targets: VerdictsCreate['targets']; readonly action: Action },
    asker: Asker,
  ): Promise<Verdicts>;
  /**
   * Lets something be done, by the one use of its approval where it needs one. Throws LOCKED_DOWN, FORBIDDEN,
   * APPROVAL_NEEDED, APPROVAL_OVER, and USAGE for an approval of one who never needs one. An approval that is given has
   * to fit, also where none is needed (any more).
   */
  permit(wanted: Wanted): Permit;
}

export interface PermitsOptions {
  readonly approvals: CommandApprovals;
  /** Throws as `chooseTargets`. */
  readonly targets: (words: readonly string[] | 'all') => Targets;
  /** The node without a worker daemon that a word means; null for any other. Throws NODE_AMBIGUOUS. */
  readonly lightNode: (word: string) => Pick<Member, 'id' | 'name'> | null;
  readonly isOnline: (nodeId: string) => boolean;
  /** Why nothing may be done now; null where it may. */
  readonly denied: () => string | null;
}

export const NO_PERMIT: Permit = { approval: null, approvalFor: () => undefined };

export function createPermits({ approvals, targets, lightNode, isOnline, denied }: PermitsOptions): Permits {
  function judge(asker: Asker, member: PermitTarget, action: Action): Verdict {
    const lockedDown = denied();
    return lockedDown === null ? consentTo(asker, member, action) : { kind: 'deny', rule: lockedDown };
  }

  function choose(words: readonly string[] | 'all', action: Action): Chosen {
    const [word, ...others] = words === 'all' ? [] : words;
    const light = action.kind === 'tool' && word !== undefined && others.length === 0 ? lightNode(word) : null;
    if (light === null) return targets(words);
    return { targets: [{ id: light.id, name: light.name, role: 'worker', isLight: true }], leftOut: [] };
  }

  return {
    async verdicts({ targets: words, action }, asker) {
      const chosen = choose(words, action);
      const judged = chosen.targets.map((member) => ({ member, verdict: judge(asker, member, action) }));
      const isAsked =
        judged.some(({ verdict }) => verdict.kind === 'approval') &&
        judged.every(({ verdict }) => verdict.kind !== 'deny');
      const views = judged.map(({ member, verdict }) => ({
        ...{ node: member.name, id: member.id, online: isOnline(member.id) },
        ...{ verdict: verdict.kind, rule: verdict.rule },
      }));
      const leftOut = chosen.leftOut.map(({ name }) => name);
      if (!isAsked || asker.kind !== 'chat') return { targets: views, leftOut, approval: null };
      const nodes = views.map(({ node, id, rule }) => ({ node, id, rule }));
      const wish = { asker, action, question: questionOf(action, chosen.targets), nodes };
      const { id, question, expiresAt } = await approvals.ask(wish);
      return { targets: views, leftOut, approval: { id, question, expiresAt } };
    },
    permit({ asker, action, members, approval }) {
      const lockedDown = denied();
      if (lockedDown !== null) throw new FederationError('LOCKED_DOWN', lockedDown);
      if (asker.kind !== 'chat' && approval !== undefined) {
        throw new FederationError('USAGE', 'an approval is for a chat; an operator needs none');
      }
      const verdicts = new Map(members.map((member) => [member.id, consentTo(asker, member, action)]));
      const refused = [...verdicts.values()].find(({ kind }) => kind === 'deny');
      if (refused !== undefined) throw new FederationError('FORBIDDEN', refused.rule);
      const isNeeded = [...verdicts.values()].some(({ kind }) => kind === 'approval');
      if (asker.kind !== 'chat' || (!isNeeded && approval === undefined)) return NO_PERMIT;
      if (approval === undefined) throw needed(members, verdicts);
      const sha256 = actionHash(action);
      const use = { asker, action: sha256, nodes: members.map(({ id }) => id) };
      const by = approvals.use(approval, use).by ?? 'nobody';
      return {
        approval: { id: approval, by },
        approvalFor: ({ id: node }) =>
          verdicts.get(node)?.kind === 'approval' ? { id: approval, by, action: sha256, node } : undefined,
      };
    },
  };
}

interface Chosen {
  readonly targets: readonly PermitTarget[];
  readonly leftOut: readonly PermitTarget[];
}

function consentTo(asker: Asker, { name, role, isLight = false }: PermitTarget, action: Action): Verdict {
  const agent = action.kind === 'handoff' ? { node: name, role, agent: action.agent } : null;
  if (!mayReach(asker, agent)) return { kind: 'deny', rule: 'the key of the program is not for it' };
  return isLight && action.kind === 'tool' ? consentToCommand(asker, action.tool) : consent(asker, role);
}

function questionOf(action: Action, members: readonly PermitTarget[]): string {
  const question = actionQuestion(action, members);
  if (question !== null) return question;
  throw new FederationError(
    'PAYLOAD_TOO_LARGE',
    'this is too long to be shown whole in a chat, so it can’t be allowed there',
    {
      hint: 'run it on the master with manage-federation; or make it shorter, or for fewer nodes',
    },
  );
}

function needed(members: readonly PermitTarget[], verdicts: ReadonlyMap<string, Verdict>): FederationError {
  const names = members.filter(({ id }) => verdicts.get(id)?.kind === 'approval').map(({ name }) => name);
  const some = names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');
  return new FederationError('APPROVAL_NEEDED', `the owner has to allow this on ${some}`, {
    hint: 'ask for it by POST /verdicts, and name the approval once it is allowed',
  });
}
