import { isIn, parseAddress } from '#src/core/address-range.ts';
import type { ConditionName, Conditions } from '#src/core/approval-policy.ts';
import { isVersionIn, rangesOf } from '#src/core/approval-policy.ts';
import type { ApprovalRequest } from '#src/core/approval.ts';
import { listed, shown } from '#src/core/foreign-words.ts';
import { isNodeName } from '#src/core/node.ts';

export interface ConditionCheck {
  readonly condition: ConditionName;
  /** As it stands in the rule; any of these will do, or for `commands` nothing else. */
  readonly wanted: readonly string[];
  readonly holds: boolean;
  /** The fact that makes it so. */
  readonly why: string;
}

/** Of all conditions that stand in `when`, in one order. */
export function checksOf(when: Conditions, request: ApprovalRequest): ConditionCheck[] {
  return NAMES.flatMap((condition) => checkOf(condition, when, request));
}

function checkOf<Name extends ConditionName>(
  condition: Name,
  when: Partial<Wanted>,
  request: ApprovalRequest,
): ConditionCheck[] {
  const wanted: Wanted[Name] | undefined = when[condition];
  return wanted === undefined ? [] : [{ condition, wanted: [wanted].flat(), ...CHECKS[condition](wanted, request) }];
}

type Check = Pick<ConditionCheck, 'holds' | 'why'>;

type Wanted = Required<Conditions>;

const CHECKS: { readonly [Name in ConditionName]: (wanted: Wanted[Name], request: ApprovalRequest) => Check } = {
  tag: (wanted, { tailnet }) => {
    if (tailnet === null) return NOT_IN_TAILNET;
    const found = tailnet.tags.find((tag) => wanted.includes(tag));
    if (found !== undefined) return yes(`its tailnet tag is ${found}`);
    return no(tailnet.tags.length === 0 ? 'it has no tailnet tag' : `its tailnet tags are ${listed(tailnet.tags)}`);
  },
  user: (wanted, { tailnet }) => {
    if (tailnet === null) return NOT_IN_TAILNET;
    // Whoever tags a machine gives it away, whatever login the tailnet still shows for it.
    if (tailnet.user === null || tailnet.tags.length > 0) return no('it belongs to no user of the tailnet');
    return { holds: wanted.includes(tailnet.user), why: `its tailnet user is ${shown(tailnet.user)}` };
  },
  stableId: (wanted, { tailnet }) => {
    if (tailnet === null) return NOT_IN_TAILNET;
    return { holds: wanted.includes(tailnet.stableId), why: `its stable id is ${shown(tailnet.stableId)}` };
  },
  token: (wanted, { token }) => {
    if (token === null) return no('it brought no join token with a name');
    return { holds: wanted.includes(token), why: `it brought the join token ${shown(token)}` };
  },
  address: (wanted, { address }) => {
    const number = parseAddress(address);
    const at = number === null ? -1 : rangesOf(wanted).findIndex((range) => isIn(number, range));
    return at < 0 ? no(`it comes from ${shown(address)}`) : yes(`it comes from ${shown(address)}, in ${wanted[at]!}`);
  },
  name: (wanted, { name }) => {
    if (!isNodeName(name)) return no(`its name ${shown(name)} is no node name`);
    const found = wanted.find((pattern) => matchesGlob(name, pattern));
    return { holds: found !== undefined, why: `its name is ${name}` };
  },
  role: (wanted, { role }) => ({ holds: wanted.some((word) => word === role), why: `its role is ${role}` }),
  commands: (wanted, { offers, commands }) => {
    const beyond = [...new Set([...offers, ...(commands ?? [])])].filter((word) => !wanted.includes(word));
    if (beyond.length > 0) return no(`it also offers ${listed(beyond)}`);
    return yes(commands === null ? 'its commands are judged when it offers them' : 'it offers nothing beyond that');
  },
  openclaw: (wanted, { openclawVersion }) => {
    if (openclawVersion === null) return no('the version of its OpenClaw is not known');
    return { holds: isVersionIn(openclawVersion, wanted), why: `its OpenClaw is ${shown(openclawVersion)}` };
  },
};

const NAMES = Object.keys(CHECKS) as ConditionName[];

const yes = (why: string): Check => ({ holds: true, why });
const no = (why: string): Check => ({ holds: false, why });
const NOT_IN_TAILNET = no('the tailnet does not know it');

/** In steps that are at most the product of both lengths, whatever the pattern. */
function matchesGlob(name: string, pattern: string): boolean {
  let [at, read] = [0, 0];
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    if (pattern[read] === '*') {
      [star, starAt] = [read, at];
      read += 1;
    } else if (pattern[read] === name[at]) {
      read += 1;
      at += 1;
    } else if (star >= 0) {
      starAt += 1;
      [read, at] = [star + 1, starAt];
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(read));
}
