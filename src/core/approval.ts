import type { ConditionCheck } from '#src/core/approval-condition.ts';
import { checksOf } from '#src/core/approval-condition.ts';
import type { ApprovalPolicy, ApprovalRule } from '#src/core/approval-policy.ts';
import { listed, shown } from '#src/core/foreign-words.ts';
import type { TailnetMachine } from '#src/core/identity.ts';
import { fingerprint } from '#src/core/node.ts';
import type { RequestKind, RequestRole } from '#src/core/request.ts';

/** Who approved, in the audit and of a node, where the rules did. */
export const BY_RULES = 'auto-register';

/** A request as it is judged: what the hub checked by itself, and what the asker says of itself. */
export interface ApprovalRequest {
  readonly kind: RequestKind;
  /** SHA-256 of the asker's public key, hex. */
  readonly keyId: string;
  /** What it says of itself: these four, and `commands` with `offers`. */
  readonly name: string;
  readonly role: RequestRole;
  readonly openclawVersion: string | null;
  readonly offers: readonly string[];
  /** Commands that it offers to OpenClaw; null where it offers them later, in a request of their own. */
  readonly commands: readonly string[] | null;
  /** Of the socket. */
  readonly address: string;
  /** The machine behind the address, by the tailnet's word; null where it knows none. */
  readonly tailnet: TailnetMachine | null;
  /** False while the tailnet can’t be asked. */
  readonly isIdentified: boolean;
  /** Name of the join token that it proved to have. */
  readonly token: string | null;
  /** Why a plain approval is not enough: its name, its key or its machine is not what it was. */
  readonly held: string | null;
  readonly rejected: boolean;
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
  /** Of the key that was approved. */
  readonly keyId: string;
}

export interface Decision {
  readonly verdict: ApprovalRule['then'];
  /** The rule that decided, or would have if nothing stood against it. */
  readonly rule: string | null;
  /** One sentence for a person, without its full stop. */
  readonly reason: string;
  /** What a node gets that becomes a member; none of them otherwise. */
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  /** Whether it may offer models then. */
  readonly models: boolean;
  /** Whether it is to be done, or only said and recorded. */
  readonly enforced: boolean;
  /** When the same request would be decided otherwise, where time alone brings that. */
  readonly retryAt: number | null;
}

const HOUR_MS = 3600_000;

/**
 * What becomes of a request: the first rule that matches decides, and without one it is held. A policy approves nothing
 * that a person rejected or that is held for who it is, whatever its rules say; of people it says nothing at all.
 */
export function judge(request: ApprovalRequest, policy: ApprovalPolicy, context: ApprovalContext): Decision {
  return decide(request, policy, context, decidingRule(request, policy, context.now));
}

function decidingRule(request: ApprovalRequest, policy: ApprovalPolicy, now: number): ApprovalRule | undefined {
  return rulesFor(request, policy).find(
    (rule) => !isExpired(rule, now) && checksOf(rule.when, request).every(({ holds }) => holds),
  );
}

function rulesFor({ kind }: ApprovalRequest, { rules }: ApprovalPolicy): readonly ApprovalRule[] {
  return kind === 'operator' ? [] : rules;
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
    labels: verdict === 'approve' && isNewcomer(request) ? (rule?.labels ?? {}) : {},
    groups: verdict === 'approve' && isNewcomer(request) ? (rule?.groups ?? []) : [],
    models: verdict === 'approve' && isNewcomer(request) && rule?.models === 'allow',
    enforced: policy.mode === 'enforce',
    retryAt,
  });
  if (request.rejected) return decision('reject', 'it was rejected, and only a person lets it in after that');
  if (!request.isIdentified)
    return decision('hold', 'the tailnet can’t say which machine it is; no rule decides before');
  if (rule?.then === 'reject') return decision('reject', because(rule, request));
  const held = request.held ?? whyPersonal(request);
  if (held !== null) return decision('hold', `${held}, and only a person may approve that`);
  if (rule === undefined) return decision('hold', whyNothing(request, policy, context.now));
  if (rule.then === 'hold') return decision('hold', because(rule, request));
  if (request.kind === 'more' && rule.when.commands === undefined) {
    return decision('hold', `rule ${rule.name} names no commands, and only a person may grant a member more then`);
  }
  const full = isCounted(request, context) ? null : whatIsFull(rule, policy, context);
  if (full === null) return decision('approve', because(rule, request));
  return decision('hold', `${full.limit} is reached until ${timeText(full.until)}`, full.until);
}

/** Who is in already keeps its labels and groups, and OpenClaw's own nodes have none. */
function isNewcomer({ kind }: ApprovalRequest): boolean {
  return kind === 'join';
}

function whyPersonal({ kind }: ApprovalRequest): string | null {
  if (kind === 'operator') return 'it would steer all nodes';
  return kind === 'moved' ? 'its key asks from another machine than its own' : null;
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

/** Whether it is the other half of what was approved within the hour: a device and its surface are one node. */
export function isCounted(
  { kind, keyId }: Pick<ApprovalRequest, 'kind' | 'keyId'>,
  { now, approvals }: ApprovalContext,
): boolean {
  return kind === 'surface' && approvals.some((past) => past.keyId === keyId && now - past.at < HOUR_MS);
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
  const rules = rulesFor(request, policy).map((rule): RuleExplanation => {
    const conditions = checksOf(rule.when, request);
    const expired = isExpired(rule, context.now) ? (rule.expires ?? null) : null;
    const matches = expired === null && conditions.every(({ holds }) => holds);
    return { rule: rule.name, verdict: rule.then, matches, decides: rule === deciding, expired, conditions };
  });
  return { decision, rules, lines: [...headLines(request, decision), ...rules.flatMap(ruleLines)] };
}

/** What is asked for; a node that wants in is what there is most of, and goes without saying. */
const ASKS: Readonly<Record<RequestKind, string>> = {
  join: '',
  more: ', wants to offer more',
  moved: ', asks from another machine',
  device: ', wants to pair with OpenClaw',
  surface: ', wants to offer its commands to OpenClaw',
  operator: '',
};

function headLines({ keyId, name, role, address, kind }: ApprovalRequest, decision: Decision): string[] {
  const isOnlySaid = decision.enforced ? '' : ' (mode is warn: it is not done)';
  return [
    `${shown(name)} (${fingerprint(keyId)}), ${role}, from ${shown(address)}${ASKS[kind]}`,
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
