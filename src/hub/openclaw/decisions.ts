import type { Change } from '#src/adapters/store/store.ts';
import type { Member } from '#src/core/member.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import type { Approval } from '#src/core/request.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { OpenClawRecords } from '#src/hub/openclaw/records.ts';
import type { Rejections } from '#src/hub/openclaw/rejections.ts';
import type { Look } from '#src/hub/openclaw/requests.ts';
import { detailOf } from '#src/hub/openclaw/requests.ts';
import type { Standing } from '#src/hub/openclaw/standing.ts';

/** An approval of one that asks at the gateway, as it is kept here before the gateway hears of it. */
export interface Decision {
  /** Whether it is carried out later where the gateway is away; else it has to be taken back then. */
  readonly lasts: boolean;
  /** Ids of those whose name it takes. */
  readonly replaced: readonly string[];
  keep(): Promise<void>;
  /** All stands as before: the gateway has not done it, and will not. */
  takeBack(problem: string): Promise<void>;
}

export interface DecisionOptions {
  readonly membership: Pick<MembershipKeeper, 'state' | 'now' | 'record' | 'inTurn' | 'commit'>;
  readonly records: OpenClawRecords;
  readonly rejections: Rejections;
  readonly standing: Standing;
  /** The record of a node that is put out now. */
  readonly revoked: (deviceId: string) => OpenClawNode;
}

export interface Approving {
  readonly look: Look;
  readonly approval: Approval;
  /** The rule that approves it; null where a person does. */
  readonly rule: string | null;
  /** What the audit says besides. */
  readonly more: AuditDetail;
}

export interface Decisions {
  /** Throws NAME_TAKEN. */
  approval(asked: Approving): Decision;
}

export function createDecisions({ membership, records, rejections, standing, revoked }: DecisionOptions): Decisions {
  const { now, record } = membership;

  function approved({ look, approval, more }: Approving) {
    return record('node.approve', approval.by, { ...detailOf(look), ...more, replace: approval.replace });
  }

  function ofNode(asking: Approving): Decision {
    const { look, approval, rule } = asking;
    const { asked, waiting } = look;
    const out = standing.makeRoom(look, approval).map(revoked);
    const node: OpenClawNode = {
      ...{ deviceId: asked.deviceId, name: waiting.name, tailnet: waiting.tailnet },
      ...{ platform: asked.platform, deviceFamily: asked.deviceFamily },
      ...{ approvedAt: now(), approvedBy: approval.by, rule },
      ...{ commands: asked.commands, removing: false, revokedAt: null },
    };
    const before = [node, ...out].map(({ deviceId }) => [deviceId, records.get(deviceId)] as const);
    return {
      lasts: true,
      replaced: out.map(({ deviceId }) => deviceId),
      async keep() {
        const pardon = rejections.change(asked, null);
        const gone = out.map((one) => record('node.revoke', approval.by, namedOf(one)));
        await records.put([...out, node], [...pardon.rows, ...gone, approved(asking)]);
        pardon.kept();
      },
      async takeBack(problem) {
        const was = before[0]?.[1];
        const own =
          was?.revokedAt === null
            ? record('node.restore', 'gateway', { ...namedOf(was), problem })
            : record('node.revoke', 'gateway', { ...detailOf(look), problem });
        const back = out.map((one) => record('node.restore', 'gateway', { ...namedOf(one), problem }));
        await records.restore(before, [own, ...back]);
      },
    };
  }

  /** Commands that a person approves are the member's from then on; its device is nobody's to promise. */
  function ofMember(memberId: string, asking: Approving): Decision {
    const { look } = asking;
    const { asked } = look;
    const wanted = asked.kind === 'surface' ? asked.commands : null;
    let before: Pick<Member, 'grantedCommands'> | null = null;

    async function change(granted: (member: Member) => Member['grantedCommands'], audit: readonly Change[]) {
      await membership.inTurn(async () => {
        const member = membership.state().members.get(memberId);
        before ??= member ?? null;
        const events =
          wanted === null || member === undefined
            ? []
            : [{ type: 'changed', member: { ...member, grantedCommands: granted(member) } } as const];
        await membership.commit(events, audit);
      });
    }

    return {
      lasts: wanted !== null,
      replaced: [],
      async keep() {
        const pardon = rejections.change(asked, null);
        // Before it was asked for, whatever it offered was granted.
        const more = ({ grantedCommands, facts }: Member) => [
          ...new Set([...(grantedCommands ?? facts.commands), ...(wanted ?? [])]),
        ];
        await change(more, [...pardon.rows, approved(asking)]);
        pardon.kept();
      },
      async takeBack(problem) {
        const had = before?.grantedCommands ?? null;
        const less = ({ grantedCommands }: Member) =>
          had === null
            ? null
            : (grantedCommands?.filter((one) => had.includes(one) || wanted?.includes(one) !== true) ?? null);
        await change(less, [record('node.revoke', 'gateway', { ...detailOf(look), problem })]);
      },
    };
  }

  return {
    approval(asking) {
      const member = standing.memberOf(asking.look.asked.deviceId);
      return member === undefined ? ofNode(asking) : ofMember(member.id, asking);
    },
  };
}

export function namedOf({ deviceId, name, commands }: OpenClawNode): AuditDetail {
  return { kind: 'device', node: name, id: deviceId, commands };
}
