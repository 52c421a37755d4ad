import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import type { TailnetMachine } from '#src/core/identity.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { fingerprint } from '#src/core/node.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import { isSameName } from '#src/core/openclaw-node.ts';
import type { Approval } from '#src/core/request.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { OpenClawRecords } from '#src/hub/openclaw/records.ts';
import type { Look } from '#src/hub/openclaw/requests.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** What this hub knows of one that asks at the gateway. */
export interface Standing {
  /** The member whose node host it is. */
  memberOf(deviceId: string): Member | undefined;
  judged(look: Look): JudgedRequest;
  /** Whether what it asks for was approved already: as part of the same approval, or before a restart. */
  isDecided(look: Look): boolean;
  /** Throws HELD for one that only OpenClaw's own command lets in. */
  checkOurs(look: Look): void;
  /** Ids of those whose name it takes. Throws NAME_TAKEN where only `replace` may. */
  makeRoom(look: Look, approval: Approval): readonly string[];
}

export interface StandingOptions {
  readonly membership: Pick<MembershipKeeper, 'state' | 'now'>;
  readonly records: OpenClawRecords;
  readonly list: () => readonly OpenClawNodeView[];
  readonly isLockedDown: () => boolean;
}

/** For so long a person's approval of a device is one of the commands that it comes with. */
const FIRST_COMMANDS_MS = 600_000;

export function createStanding({ membership, records, list, isLockedDown }: StandingOptions): Standing {
  const members = () => [...membership.state().members.values()];

  function memberOf(deviceId: string): Member | undefined {
    return members().find(({ openclaw }) => openclaw?.deviceId === deviceId);
  }

  function holdersOf({ name, keyId }: Look['waiting']): { member: Member | undefined; others: readonly string[] } {
    const others = list().filter((node) => isSameName(node.name, name) && node.id !== keyId);
    const member = members().find((one) => one.revokedAt === null && isSameName(one.name, name));
    return { member, others: others.map(({ id }) => id) };
  }

  /** The name of one that was put out: it is put out as a machine, and not only as a key. */
  function revokedOn(machine: TailnetMachine | null): string | undefined {
    if (machine === null) return undefined;
    const out = [...members(), ...records.revoked()].filter(
      ({ revokedAt, tailnet }) => revokedAt !== null && tailnet?.stableId === machine.stableId,
    );
    return out.map(({ name }) => name).toSorted()[0];
  }

  function whyHeld({ asked, waiting, isIdentified }: Look): string | null {
    const node = records.get(waiting.keyId);
    if (node !== undefined && node.revokedAt !== null) return 'it was revoked';
    if (isOperator(asked)) return OPERATES;
    if (!isIdentified) return 'the tailnet does not say yet which machine it is';
    if (node !== undefined && isElsewhere(node, waiting.tailnet)) return 'it was approved on another machine';
    const former = node === undefined ? revokedOn(waiting.tailnet) : undefined;
    if (former !== undefined) return `its machine was the node ${former}, which was revoked`;
    const { member, others } = holdersOf(waiting);
    if (member === undefined && others.length === 0) return null;
    return `the name ${waiting.name} belongs to another node`;
  }

  /** Whether the commands come as those of the device that a person has just approved. */
  function isExpected(node: OpenClawNode, { asked, waiting }: Look): boolean {
    if (node.rule !== null || isLockedDown() || membership.now() - node.approvedAt > FIRST_COMMANDS_MS) return false;
    const isSame = asked.platform === node.platform && asked.deviceFamily === node.deviceFamily;
    return node.platform !== null && isSame && waiting.name === node.name;
  }

  return {
    memberOf,
    judged(look) {
      const { asked, waiting } = look;
      const member = memberOf(asked.deviceId);
      if (member === undefined) return { request: waiting, held: whyHeld(look) };
      if (isOperator(asked)) return { request: { ...waiting, name: member.name }, held: OPERATES };
      const what = asked.kind === 'surface' ? 'which offers more than before' : 'which comes without a code of its own';
      return { request: { ...waiting, name: member.name }, held: `it is ${member.name}’s node host, ${what}` };
    },
    isDecided(look) {
      const { asked, waiting } = look;
      if (waiting.rejected || isOperator(asked)) return false;
      const member = memberOf(asked.deviceId);
      if (member !== undefined) {
        const isIn = member.revokedAt === null && member.openclaw?.removing === false;
        return isIn && asked.kind === 'surface' && isWithin(asked.commands, member.grantedCommands);
      }
      const node = records.get(asked.deviceId);
      if (node === undefined || node.revokedAt !== null || isElsewhere(node, waiting.tailnet)) return false;
      // A later request than the one that was approved is another one.
      if (asked.kind === 'device') return asked.askedAt <= node.approvedAt && waiting.name === node.name;
      return node.commands === null ? isExpected(node, look) : isWithin(asked.commands, node.commands);
    },
    checkOurs({ asked }) {
      if (!isOperator(asked)) return;
      throw new FederationError('HELD', OPERATES, { hint: `openclaw devices approve ${asked.requestId}` });
    },
    makeRoom({ waiting }, { replace }) {
      const { member, others } = holdersOf(waiting);
      const holder = member?.id ?? others[0];
      if (replace || holder === undefined || records.get(waiting.keyId)?.revokedAt === null)
        return replace ? others : [];
      const effect = member === undefined ? 'revokes the old one' : 'both keep the name';
      throw new FederationError('NAME_TAKEN', `the name ${waiting.name} belongs to the node ${fingerprint(holder)}`, {
        hint: `manage-federation approve ${fingerprint(waiting.keyId)} --replace  (${effect})`,
      });
    },
  };
}

const OPERATES = 'it asks to operate OpenClaw too';

/** Whether one approval would make a node and an operator of it, which only OpenClaw's own command does. */
function isOperator(asked: GatewayRequest): boolean {
  return asked.kind === 'device' && asked.operates;
}

function isWithin(commands: readonly string[], granted: readonly string[] | null): boolean {
  return granted !== null && commands.every((command) => granted.includes(command));
}

/** Whether a key that was approved on one machine of the tailnet speaks from somewhere else. */
function isElsewhere(node: OpenClawNode, machine: TailnetMachine | null): boolean {
  return node.tailnet !== null && node.tailnet.stableId !== machine?.stableId;
}
