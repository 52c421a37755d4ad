import { isIn, parseAddress } from '#src/core/address-range.ts';
import type { ApprovalPolicy, ApprovalRule, ConditionName, Conditions } from '#src/core/approval-policy.ts';
import { isVersionIn, rangesOf } from '#src/core/approval-policy.ts';
import type { Role } from '#src/core/node.ts';
import { fingerprint, isNodeName } from '#src/core/node.ts';

/** A pairing request as it is judged: what the hub checked by itself, and what the node says of itself. */
export interface ApprovalRequest {
  readonly nodeId: string;
  /** What it says of itself: these four, and `commands` with `offers`. */
  readonly name: string;
  readonly role: Role;
  readonly openclawVersion: string | null;
  readonly offers: readonly string[];
  /** Commands that it offers to OpenClaw. */
  readonly commands: readonly string[];
  /** Of the socket. */
  readonly address: string;
  /** The machine behind the address, by the tailnet's word; null where it knows none. */
  readonly tailnet: TailnetMachine | null;
  /** Name of the join token that it proved to have. */
  readonly token: string | null;
  /** Why a plain approval is not enough: its name, its key or its machine is not what it was. */
  readonly held: string | null;
  readonly rejected: boolean;
}

export interface TailnetMachine {
  readonly stableId: string;
  readonly name: string;
  /** Null for a tagged machine, which belongs to nobody. */
  readonly user: string | null;
  readonly tags: readonly string[];
}

export interface ApprovalContext {
  /** Milliseconds since the epoch, as all times here. */
  readonly now: number;
  /** What the policy approved in the last hour; older ones do no harm. */
  readonly approvals: readonly PastApproval[];
}

export interface PastApproval {
  readonly at: number;
  readonly rule: string;
}

export interface Decision {
  readonly verdict: ApprovalRule['then'];
  /** The rule that decided, or would have if nothing stood against it. */
  readonly rule: string | null;
  /** One sentence for a person, without its full stop. */
  readonly reason: string;
  /** What an approved node gets; none of them otherwise. */
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  /** Whether it is to be done, or only said and recorded. */
  readonly enforced: boolean;
  /** When the same request would be decided otherwise, where time alone brings that. */
  readonly retryAt: number | null;
}

const HOUR_MS = 3600_000;

/**
 * What becomes of a request: the first rule that matches decides, and without one it is held. A policy approves no node
 * that a person rejected or that is held for who it is, whatever its rules say.
 */
export function judge(request: ApprovalRequest, policy: ApprovalPolicy, context: ApprovalContext): Decision {
  return decide(request, policy, context, decidingRule(request, policy, context.now));
}

function decidingRule(request: ApprovalRequest, policy: ApprovalPolicy, now: number): ApprovalRule | undefined {
  return policy.rules.find((rule) => !isExpired(rule, now) && checksOf(rule.when, request).every(({ holds }) => holds));
}

function decide(
  request: ApprovalRequest,
  policy: ApprovalPolicy,
  context: ApprovalContext,
  rule: ApprovalRule | undefined,
): Decision {
  const decision = (verdict: Decision['verdict'], reason: string, retryAt: number | null = null): Decision => ({
    verdict,
    rule: rule?.name ?? null,
    reason,
    labels: verdict === 'approve' ? (rule?.labels ?? {}) : {},
    groups: verdict === 'approve' ? (rule?.groups ?? []) : [],
    enforced: policy.mode === 'enforce',
    retryAt,
  });
  if (request.rejected) return decision('reject', 'it was rejected, and only a person lets it in after that');
  if (rule?.then === 'reject') return decision('reject', because(rule, request));
  if (request.held !== null) return decision('hold', `${request.held}, and only a person may approve that`);
  if (rule === undefined) return decision('hold', whyNothing(request, policy, context.now));
  if (rule.then === 'hold') return decision('hold', because(rule, request));
  const full = whatIsFull(rule, policy, context);
  if (full === null) return decision('approve', because(rule, request));
  return decision('hold', `${full.limit} is reached until ${timeText(full.until)}`, full.until);
}

function because({ name, then, when }: ApprovalRule, request: ApprovalRequest): string {
  const facts = checksOf(when, request).map(({ why }) => why);
  return `rule ${name} ${then}s ${facts.length === 0 ? 'every node' : `it: ${facts.join('; ')}`}`;
}

function whyNothing(request: ApprovalRequest, { rules }: ApprovalPolicy, now: number): string {
  if (rules.length === 0) return 'there are no rules';
  const expired = rules.find(
    (rule) => isExpired(rule, now) && checksOf(rule.when, request).every(({ holds }) => holds),
  );
  if (expired?.expires === undefined) return 'no rule matches it';
  return `no rule matches it; rule ${expired.name} did until it expired at ${timeText(expired.expires)}`;
}

function isExpired({ expires }: ApprovalRule, now: number): boolean {
  return expires !== undefined && now >= expires;
}

/** The limit that lasts longest of those that are reached. An approval counts for an hour, and not at its end. */
function whatIsFull(
  rule: ApprovalRule,
  policy: ApprovalPolicy,
  { now, approvals }: ApprovalContext,
): { readonly limit: string; readonly until: number } | null {
  const recent = approvals.filter(({ at }) => now - at < HOUR_MS);
  const ofRule = recent.filter((approval) => approval.rule === rule.name);
  const all = {
    limit: `the limit of ${policy.maxPerHour} approvals an hour`,
    until: freeAt(recent, policy.maxPerHour),
  };
  const max = rule.maxPerHour ?? Infinity;
  const own = { limit: `the limit of ${max} approvals an hour by rule ${rule.name}`, until: freeAt(ofRule, max) };
  const longest = own.until > all.until ? own : all;
  return longest.until > now ? longest : null;
}

/** When fewer than `max` of them are of the last hour; long ago where that is so already. */
function freeAt(approvals: readonly PastApproval[], max: number): number {
  if (approvals.length < max) return -Infinity;
  const times = approvals.map(({ at }) => at).toSorted((a, b) => a - b);
  return times[times.length - max]! + HOUR_MS;
}

function timeText(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z');
}

export interface ConditionCheck {
  readonly condition: ConditionName;
  /** As it stands in the rule; any of these will do, or for `commands` nothing else. */
  readonly wanted: readonly string[];
  readonly holds: boolean;
  /** The fact that makes it so. */
  readonly why: string;
}

export interface RuleExplanation {
  readonly rule: string;
  readonly verdict: ApprovalRule['then'];
  /** All conditions hold and it has not expired, whether or not an earlier rule decides. */
  readonly matches: boolean;
  readonly decides: boolean;
  /** When it expired; null where it did not. */
  readonly expired: number | null;
  readonly conditions: readonly ConditionCheck[];
}

export interface Explanation {
  readonly decision: Decision;
  readonly rules: readonly RuleExplanation[];
  /** The same for a terminal; what a node says of itself can’t steer it. */
  readonly lines: readonly string[];
}

/** What `judge` decides, with every rule and condition that led to it. */
export function explain(request: ApprovalRequest, policy: ApprovalPolicy, context: ApprovalContext): Explanation {
  const deciding = decidingRule(request, policy, context.now);
  const decision = decide(request, policy, context, deciding);
  const rules = policy.rules.map((rule): RuleExplanation => {
    const conditions = checksOf(rule.when, request);
    const expired = isExpired(rule, context.now) ? (rule.expires ?? null) : null;
    const matches = expired === null && conditions.every(({ holds }) => holds);
    return { rule: rule.name, verdict: rule.then, matches, decides: rule === deciding, expired, conditions };
  });
  return { decision, rules, lines: [...headLines(request, decision), ...rules.flatMap(ruleLines)] };
}

function headLines({ nodeId, name, role, address }: ApprovalRequest, decision: Decision): string[] {
  const isOnlySaid = decision.enforced ? '' : ' (mode is warn: it is not done)';
  return [
    `${shown(name)} (${fingerprint(nodeId)}), ${role}, from ${shown(address)}`,
    `${decision.verdict}: ${decision.reason}${isOnlySaid}`,
  ];
}

function ruleLines({ rule, verdict, matches, decides, expired, conditions }: RuleExplanation, index: number): string[] {
  const later = decides ? 'decides' : 'matches, but an earlier rule decides';
  const never = expired === null ? 'does not match' : `expired at ${timeText(expired)}`;
  return [
    `${index + 1}. ${rule} (${verdict}): ${matches ? later : never}`,
    ...conditions.map(
      ({ condition, wanted, holds, why }) => `   ${holds ? 'yes' : 'no '}  ${condition} ${listed(wanted)}: ${why}`,
    ),
  ];
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
  role: (wanted, { role }) => ({ holds: wanted.includes(role), why: `its role is ${role}` }),
  commands: (wanted, { offers, commands }) => {
    const beyond = [...new Set([...offers, ...commands])].filter((word) => !wanted.includes(word));
    return beyond.length === 0 ? yes('it offers nothing beyond that') : no(`it also offers ${listed(beyond)}`);
  },
  openclaw: (wanted, { openclawVersion }) => {
    if (openclawVersion === null) return no('the version of its OpenClaw is not known');
    return { holds: isVersionIn(openclawVersion, wanted), why: `its OpenClaw is ${shown(openclawVersion)}` };
  },
};

const NAMES = Object.keys(CHECKS) as ConditionName[];

/** Of all conditions that stand in `when`, in one order. */
function checksOf(when: Conditions, request: ApprovalRequest): ConditionCheck[] {
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

const MAX_SHOWN = 64;
const MAX_LISTED = 8;

/** Words of others: short, and with nothing in them that steers a terminal or looks like another letter. */
function shown(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
  return cut.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function listed(words: readonly string[]): string {
  const some = words.slice(0, MAX_LISTED).map(shown).join(', ');
  return words.length > MAX_LISTED ? `${some} and ${words.length - MAX_LISTED} more` : some;
}
