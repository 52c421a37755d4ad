import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { MAX_GROUPS, MAX_LABELS } from '#src/core/label.ts';
import type { Member } from '#src/core/member.ts';
import { memberNamed } from '#src/core/membership.ts';
import { isSameName } from '#src/core/openclaw-node.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';
import { findMember } from '#src/hub/fleet/targets.ts';

/** Groups to join and to leave. */
export interface Regroup {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/**
 * What an operator calls members and how they are chosen. None of it changes a member's key, machine or role.
 * All resolve with the member when it is kept, and throw NODE_NOT_FOUND and NODE_AMBIGUOUS.
 */
export interface Members {
  /** It keeps calling itself as before, which nobody listens to. Throws NAME_TAKEN. */
  rename(word: string, name: string, by: string): Promise<Member>;
  /** Sets labels, and with null takes them away. Throws USAGE over the limit. */
  relabel(word: string, labels: Readonly<Record<string, string | null>>, by: string): Promise<Member>;
  regroup(word: string, groups: Regroup, by: string): Promise<Member>;
  /** Whether what means all nodes, or a group, leaves it out. */
  drain(word: string, drained: boolean, by: string): Promise<Member>;
  /** Whether others may be served by its models. */
  letOfferModels(word: string, allowed: boolean, by: string): Promise<Member>;
}

export interface MembersOptions {
  readonly membership: MembershipKeeper;
  /** All that wait, so that a word for one of them is answered with what it is. */
  readonly waiting: () => readonly JudgedRequest[];
  /** OpenClaw's own nodes: a name means one node. */
  readonly others: () => readonly { readonly name: string }[];
  readonly log: Log;
}

export function createMembers({ membership, waiting, others, log }: MembersOptions): Members {
  const { state, inTurn, commit, record } = membership;

  /** What `change` makes of the member; null: it is so already, and nothing is recorded. */
  function change(
    word: string,
    by: string,
    action: string,
    changed: (member: Member) => readonly [Partial<Member>, AuditDetail] | null,
  ): Promise<Member> {
    return inTurn(async () => {
      const member = findMember([...state().members.values()], waiting, word);
      const change = changed(member);
      if (change === null) return member;
      const [values, detail] = change;
      const next = { ...member, ...values };
      const audit = record(action, by, { node: member.name, id: member.id, ...detail });
      await commit([{ type: 'changed', member: next }], [audit]);
      log.info('a node was changed', { action, node: member.name, ...detail });
      return next;
    });
  }

  function checkFree(name: string): void {
    const holder = memberNamed(state(), name) ?? others().find((other) => isSameName(other.name, name));
    if (holder === undefined) return;
    throw new FederationError('NAME_TAKEN', `the name ${name} belongs to another node`, {
      hint: `choose another, or first: manage-federation revoke ${name}`,
    });
  }

  return {
    rename: (word, name, by) =>
      change(word, by, 'node.rename', (member) => {
        if (member.name === name) return null;
        checkFree(name);
        return [{ name, facts: { ...member.facts, name } }, { to: name }];
      }),
    relabel: (word, wanted, by) =>
      change(word, by, 'node.label', (member) => {
        const labels = Object.fromEntries(
          Object.entries({ ...member.labels, ...wanted }).filter(
            (label): label is [string, string] => label[1] !== null,
          ),
        );
        const names = Object.keys(labels);
        checkCount(names.length, Object.keys(member.labels).length, MAX_LABELS, 'labels');
        const isSame =
          names.length === Object.keys(member.labels).length &&
          names.every((key) => member.labels[key] === labels[key]);
        return isSame ? null : [{ labels }, { labels: wanted }];
      }),
    regroup: (word, { add, remove }, by) =>
      change(word, by, 'node.group', (member) => {
        const groups = [...new Set([...member.groups, ...add])].filter((group) => !remove.includes(group)).toSorted();
        checkCount(groups.length, member.groups.length, MAX_GROUPS, 'groups');
        return groups.join() === member.groups.toSorted().join() ? null : [{ groups }, { add, remove }];
      }),
    drain: (word, drained, by) =>
      change(word, by, drained ? 'node.drain' : 'node.undrain', (member) =>
        member.drained === drained ? null : [{ drained }, {}],
      ),
    letOfferModels: (word, allowed, by) =>
      change(word, by, allowed ? 'node.allow-models' : 'node.deny-models', (member) =>
        member.grantedModels === allowed ? null : [{ grantedModels: allowed }, {}],
      ),
  };
}

function checkCount(now: number, before: number, max: number, what: string): void {
  if (now <= max || now <= before) return;
  throw new FederationError('USAGE', `a node has at most ${max} ${what}`, { hint: 'take away some of them first' });
}
