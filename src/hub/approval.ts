import { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { PolicyText } from '#src/adapters/policy-file.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { ApprovalPolicy } from '#src/core/approval-policy.ts';
import { parsePolicy } from '#src/core/approval-policy.ts';
import type { ApprovalRequest, Decision, PastApproval } from '#src/core/approval.ts';
import { explain, judge } from '#src/core/approval.ts';
import type { PairingRequest } from '#src/core/membership.ts';
import type { Enrolment, JudgedRequest, Ruling } from '#src/hub/enrolment.ts';
import type { Judgement, PolicyStatus } from '#src/protocol/hub-api.ts';

/** Who approved, in the audit and of a member, where the rules did. */
export const BY_RULES = 'auto-register';

export interface JudgeOptions {
  readonly dryRun: boolean;
  readonly approveEverything: boolean;
}

/** Nodes are let in by rules here, where somebody asks for it. */
export interface Approvals {
  /** Does what the rules say, unless it is a dry run. Throws REQUEST_NOT_FOUND and NODE_AMBIGUOUS. */
  judge(word: string, options: JudgeOptions): Promise<Judgement>;
  /** Which rule would decide and why, in lines for a terminal. */
  explain(word: string, options: Pick<JudgeOptions, 'approveEverything'>): readonly string[];
  status(): PolicyStatus;
  /** Says that the rules may be others now. */
  readonly changes: EventEmitter<{ policy: [] }>;
  /** Resolves when the rules are followed no longer. */
  readonly done: Promise<void>;
}

export interface ApprovalsOptions {
  readonly store: Pick<Store, 'audit' | 'auditHead'>;
  readonly enrolment: Pick<Enrolment, 'request' | 'judge'>;
  /** What the rules file holds, now and from then on; ends by itself. */
  readonly policies: AsyncIterable<PolicyText>;
  readonly log: Log;
  /** Wall clock, milliseconds since the epoch: limits outlive this process. */
  readonly now?: () => number;
}

const HOUR_MS = 3600_000;

/** Resolves when the rules file was read for the first time. */
export async function openApprovals(options: ApprovalsOptions): Promise<Approvals> {
  const { enrolment, log, now = Date.now } = options;
  const rules = await openRules(options.policies, log);
  let approvals = await pastApprovals(options.store, now() - HOUR_MS);
  /** What the audit says of a request already: whoever asks again and again fills no disk. */
  const recorded = new WeakMap<PairingRequest, string>();

  const context = () => {
    const at = now();
    approvals = approvals.filter((approval) => at - approval.at < HOUR_MS);
    return { now: at, approvals };
  };

  function detailOf(request: PairingRequest, decision: Decision): Ruling['detail'] {
    const { verdict, rule, reason, enforced, labels, groups } = decision;
    const detail = { verdict, rule, reason, enforced, labels, groups, tailnet: request.tailnet };
    const text = JSON.stringify([verdict, rule, reason, enforced]);
    if (recorded.get(request) === text) return null;
    recorded.set(request, text);
    return detail;
  }

  return {
    async judge(word, { dryRun, approveEverything }) {
      const policy = rules.policy(approveEverything);
      const verdictOn = (asked: JudgedRequest) => judge(approvalRequest(asked), policy, context());
      if (dryRun) return judgement(verdictOn(enrolment.request(word)), 'nothing');
      const done: { decision: Decision; act: Ruling['act']; counted: PastApproval | null }[] = [];
      try {
        await enrolment.judge(word, BY_RULES, (asked) => {
          const decision = verdictOn(asked);
          const act = actOn(asked.request, decision);
          // At once: the next one is judged before this one's promise is settled.
          const counted = act === 'approve' ? { at: now(), rule: decision.rule ?? '' } : null;
          if (counted !== null) approvals.push(counted);
          done.push({ decision, act, counted });
          return { act, labels: decision.labels, detail: detailOf(asked.request, decision) };
        });
      } catch (error) {
        approvals = approvals.filter((approval) => approval !== done[0]?.counted);
        throw error;
      }
      const { decision, act } = done[0]!;
      if (act !== 'nothing')
        log.info('the rules decided', { node: word, verdict: decision.verdict, rule: decision.rule });
      return judgement(decision, DONE[act]);
    },
    explain(word, { approveEverything }) {
      const { lines } = explain(approvalRequest(enrolment.request(word)), rules.policy(approveEverything), context());
      const { state, problem } = rules.status();
      return state === 'broken' ? [`the rules file can’t be used: ${problem}`, ...lines] : lines;
    },
    status: rules.status,
    changes: rules.changes,
    done: rules.done,
  };
}

const DONE = { approve: 'approved', reject: 'rejected', nothing: 'nothing' } as const;

function actOn(request: PairingRequest, { verdict, enforced }: Decision): Ruling['act'] {
  if (!enforced || verdict === 'hold') return 'nothing';
  return verdict === 'reject' && request.rejected ? 'nothing' : verdict;
}

function judgement({ retryAt, labels, groups, ...decision }: Decision, done: Judgement['done']): Judgement {
  const time = retryAt === null ? null : new Date(retryAt).toISOString();
  return { ...decision, labels: { ...labels }, groups: [...groups], retryAt: time, done };
}

function approvalRequest({ request, held }: JudgedRequest): ApprovalRequest {
  const { nodeId, facts, address, tailnet, rejected } = request;
  return {
    nodeId,
    name: facts.name,
    role: facts.role,
    // Neither is known before a node host has connected, and who brings a token waits for nobody.
    ...{ openclawVersion: null, commands: [], token: null },
    offers: facts.offers,
    address,
    tailnet,
    held,
    rejected,
  };
}

const NO_RULES: ApprovalPolicy = { mode: 'enforce', maxPerHour: 10, rules: [] };

/** The rules as they were when the file could be used last, with and without those that approve everybody. */
async function openRules(policies: AsyncIterable<PolicyText>, log: Log) {
  const changes: Approvals['changes'] = new EventEmitter();
  const iterator = policies[Symbol.asyncIterator]();
  let state: PolicyStatus['state'] = 'none';
  let problem: string | null = null;
  let [narrow, wide] = [NO_RULES, NO_RULES];

  function take(text: PolicyText): void {
    const [asItIs, everybody] = [false, true].map((approveEverything) => policyIn(text, approveEverything));
    if (everybody!.ok) wide = everybody!.policy;
    if (asItIs!.ok) narrow = asItIs!.policy;
    problem = asItIs!.ok ? null : asItIs!.problems.join('; ');
    const before = state;
    state = text.state === 'absent' ? 'none' : problem === null ? 'loaded' : 'broken';
    if (state === 'broken') log.warn('the approval rules can’t be used; those from before stay', { problem });
    // That there are none is worth no line where there have never been any.
    else if (state === 'loaded' || before !== 'none') {
      log.info('the approval rules were read', { state, mode: narrow.mode, rules: narrow.rules.length });
    }
    changes.emit('policy');
  }

  async function follow(): Promise<void> {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) take(next.value);
  }

  const first = await iterator.next();
  if (first.done !== true) take(first.value);
  return {
    policy: (approveEverything: boolean) => (approveEverything ? wide : narrow),
    status: (): PolicyStatus => ({
      state,
      mode: state === 'none' ? null : narrow.mode,
      rules: narrow.rules.length,
      problem,
    }),
    changes,
    done: follow(),
  };
}

function policyIn(text: PolicyText, approveEverything: boolean): ReturnType<typeof parsePolicy> {
  if (text.state === 'absent') return { ok: true, policy: NO_RULES };
  if (text.state === 'unreadable') return { ok: false, problems: [text.problem] };
  return parsePolicy(text.value, { approveEverything });
}

/** Records that are read at once. */
const PAGE = 1000;

/** What the rules approved since then. The audit knows it, also of nodes that are members no longer. */
async function pastApprovals(store: ApprovalsOptions['store'], since: number): Promise<PastApproval[]> {
  const found: PastApproval[] = [];
  for (let end = (await store.auditHead()).seq; end > 0; end -= PAGE) {
    const after = Math.max(0, end - PAGE);
    const recent = (await store.audit(after, end - after)).filter(({ at }) => at > since);
    if (recent.length === 0) break;
    for (const { at, action, by, detail } of recent) {
      const { rule } = detail;
      if (action === 'node.approve' && by === BY_RULES && typeof rule === 'string') found.push({ at, rule });
    }
  }
  return found;
}
