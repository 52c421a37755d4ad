import semver from 'semver';
import { z } from 'zod';
import type { AddressRange } from '#src/core/address-range.ts';
import { readAddressRange, whyEverybody } from '#src/core/address-range.ts';
import { problemsOf } from '#src/core/approval-policy-problem.ts';
import { ROLES } from '#src/core/node.ts';

const MAX_RULES = 1000;
const MAX_WORDS = 64;
const MAX_LABELS = 64;

const text = (max: number) => z.string().max(max, { abort: true });

/** One or a list of which any will do. Its length is looked at before what is in it. */
const anyOf = <T extends z.ZodType>(word: T) =>
  z.preprocess(
    (value): unknown[] => (Array.isArray(value) ? value : [value]),
    z.array(z.unknown()).min(1).max(MAX_WORDS).pipe(z.array(word)),
  );

const range = text(64).superRefine((value, context) => {
  const read = readAddressRange(value);
  if (!read.ok) context.addIssue({ code: 'custom', message: read.problem });
});
const tag = text(128).regex(/^tag:[A-Za-z][A-Za-z0-9-]*$/, 'a tailnet tag is written tag:server');
const user = text(320).regex(/^[^\s*]+$/, 'a user is a whole login name, as ann@example.com');
const stableId = text(64).regex(/^[A-Za-z0-9]+$/, 'a stable id is letters and digits, as in tailscale status --json');
const namePattern = text(63).regex(/^[a-z0-9*-]+$/, 'a name is a-z, 0-9 and -, and * stands for any of them');
const tokenName = text(63).regex(/^[^\s*]+$/, 'a join token is named in full');
const command = text(128).regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a command is named in full, as system.run');
const versionRange = text(100).refine(
  (value) => /\d/.test(value) && semver.validRange(value) !== null,
  'a range of versions is written >=2026.9.0 <2027',
);

/** What has to hold before a rule decides: all that stand in `when`. */
const conditionsSchema = z.strictObject({
  tag: anyOf(tag).optional().describe('Tailnet tag of the machine'),
  user: anyOf(user).optional().describe('Login name of the tailnet user whose machine it is; a tagged one has none'),
  stableId: anyOf(stableId).optional().describe('Stable id of the machine in the tailnet'),
  token: anyOf(tokenName).optional().describe('Name of the join token that it brought'),
  address: anyOf(range).optional().describe('Address or range that it comes from'),
  name: anyOf(namePattern).optional().describe('What it calls itself; only together with tag, user, stableId or token'),
  role: anyOf(z.enum([...ROLES, 'node-host']))
    .optional()
    .describe(
      'What it wants to be; `node-host` is a node that runs OpenClaw’s own node host or app and nothing of ours',
    ),
  commands: anyOf(command)
    .optional()
    .describe(
      'All that it may offer: commands of OpenClaw, `exec` and `node-host`; one more, and the rule is not for it',
    ),
  openclaw: versionRange.optional().describe('Versions of its OpenClaw'),
});

export type Conditions = z.infer<typeof conditionsSchema>;
export type ConditionName = keyof Conditions;

const labels = z
  .unknown()
  // A key of this name is one that zod’s records leave out without a word.
  .refine((value) => !isObject(value) || !Object.hasOwn(value, '__proto__'), '__proto__ can’t be a label')
  .refine((value) => !isObject(value) || Object.keys(value).length <= MAX_LABELS, `at most ${MAX_LABELS} labels`)
  .pipe(
    z.record(
      text(63).regex(
        /^(?!self\/)[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/,
        'a label is a-z, 0-9 and ._/-, and not self/…',
      ),
      z.string().max(256),
    ),
  );

const group = text(63).regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a group is a-z, 0-9 and -');
const perHour = z.int().min(1).max(10_000);

const ruleSchema = z.strictObject({
  name: text(64)
    .regex(/^[A-Za-z0-9][A-Za-z0-9 ._/-]*$/, 'a rule’s name is letters, digits, spaces and ._/-')
    .describe('What it is called in lists and in the audit; no two have one name'),
  when: conditionsSchema,
  // oxlint-disable-next-line unicorn/no-thenable -- it is a word and no function, so nothing can await it
  then: z.enum(['approve', 'hold', 'reject']).describe('What becomes of the request'),
  labels: labels.default({}).describe('Labels that an approved node gets'),
  groups: z
    .array(z.unknown())
    .max(MAX_LABELS)
    .pipe(z.array(group))
    .default([])
    .describe('Groups that an approved node is put into'),
  models: z
    .enum(['allow', 'deny'])
    .default('deny')
    .describe('Whether an approved node may offer models: who serves a request reads it'),
  maxPerHour: perHour.optional().describe('Nodes that this rule approves in an hour'),
  expires: z
    .union(
      [z.iso.date(), z.iso.datetime({ offset: true })],
      'a date is written 2027-01-31, a time 2027-01-31T18:00:00Z',
    )
    .transform((date) => Date.parse(date))
    .optional()
    .describe('When it stops to match; a date alone is its beginning in UTC'),
});

export type ApprovalRule = z.infer<typeof ruleSchema>;

/** The rules by which nodes are let in without a person. The first that matches decides; without one, a request waits. */
const approvalPolicySchema = z.strictObject({
  mode: z.enum(['warn', 'enforce']).default('enforce').describe('warn: decisions are said and recorded, and not done'),
  maxPerHour: perHour.default(10).describe('Nodes that all rules together approve in an hour'),
  rules: z
    .array(z.unknown())
    .max(MAX_RULES)
    .pipe(z.array(ruleSchema))
    .nullish()
    .transform((rules) => rules ?? []),
});

export type ApprovalPolicy = z.infer<typeof approvalPolicySchema>;

export interface PolicyOptions {
  /** A person has said `--approve-everything` in full. */
  readonly approveEverything: boolean;
}

export type PolicyResult =
  | { readonly ok: true; readonly policy: ApprovalPolicy }
  | { readonly ok: false; readonly problems: readonly string[] };

const MAX_PROBLEMS = 20;
const MAX_PROBLEM_LENGTH = 300;

/**
 * The policy in what a rules file holds; nothing at all is one without rules. Each problem names its path and, where it
 * is about a rule, the rule: `rules.0.when: rule pi has no when; write …`. They are bounded, whatever the file holds.
 */
export function parsePolicy(value: unknown, options: PolicyOptions): PolicyResult {
  const parsed = approvalPolicySchema.safeParse(value ?? {});
  const problems = parsed.success
    ? parsed.data.rules.flatMap((rule, index) => ruleProblems(rule, index, parsed.data.rules, options))
    : parsed.error.issues.flatMap((issue) => problemsOf(issue, value ?? {}));
  if (parsed.success && problems.length === 0) return { ok: true, policy: parsed.data };
  const said = problems.slice(0, MAX_PROBLEMS).map(shortened);
  return {
    ok: false,
    problems: problems.length > said.length ? [...said, `${problems.length - said.length} more`] : said,
  };
}

function shortened(problem: string): string {
  return problem.length > MAX_PROBLEM_LENGTH ? `${problem.slice(0, MAX_PROBLEM_LENGTH - 1)}…` : problem;
}

function ruleProblems(
  rule: ApprovalRule,
  index: number,
  rules: readonly ApprovalRule[],
  { approveEverything }: PolicyOptions,
): string[] {
  const place = `rules.${index} (${rule.name})`;
  const problems: string[] = [];
  const first = rules.findIndex(({ name }) => name === rule.name);
  if (first !== index) problems.push(`${place}: rules.${first} has this name, too`);
  if (rule.when.name !== undefined && !NAME_STANDS_WITH.some((condition) => rule.when[condition] !== undefined)) {
    problems.push(`${place}: a node chooses its name itself; add ${listed(NAME_STANDS_WITH)}`);
  }
  const everybody = rule.then === 'approve' && !approveEverything ? whyApprovesEverybody(rule.when) : null;
  if (everybody !== null) {
    problems.push(
      `${place}: would approve everybody: ${everybody}; add ${listed(NAME_STANDS_WITH)}, or a narrow address, or say --approve-everything`,
    );
  }
  return problems;
}

/** What the hub checks by itself, and only some machines have. */
const NAME_STANDS_WITH = ['tag', 'user', 'stableId', 'token'] as const satisfies readonly ConditionName[];

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function whyApprovesEverybody(when: Conditions): string | null {
  if (NAME_STANDS_WITH.some((condition) => when[condition] !== undefined)) return null;
  const wide = when.address === undefined ? null : whyEverybody(rangesOf(when.address));
  if (when.address !== undefined) return wide;
  const stated = (['name', 'role', 'commands', 'openclaw'] as const).filter(
    (condition) => when[condition] !== undefined,
  );
  if (stated.length === 0) return 'it has no condition';
  return `${stated.join(' and ')} ${stated.length === 1 ? 'is' : 'are'} what a node says of itself`;
}

/** The ranges of a policy that was parsed: each of them is one. */
export function rangesOf(texts: readonly string[]): AddressRange[] {
  return texts.flatMap((value) => {
    const read = readAddressRange(value);
    return read.ok ? [read.range] : [];
  });
}

/**
 * Whether a version is within a range of a parsed policy, as npm reads ranges: a pre-release is in none that does not name
 * one of the same release. What is no version in its plain form is in none either.
 */
export function isVersionIn(version: string, versions: string): boolean {
  return semver.valid(version) === version && semver.satisfies(version, versions);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
