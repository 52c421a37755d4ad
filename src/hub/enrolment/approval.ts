import type { Log } from '#src/adapters/log.ts';
import type { PolicyText } from '#src/adapters/policy-file.ts';
import type { Store } from '#src/adapters/store/store.ts';
import type { ApprovalRequest, Decision, Explanation, PastApproval } from '#src/core/approval.ts';
import { BY_RULES, explain, isCounted, judge } from '#src/core/approval.ts';
import type { AuditRecord } from '#src/core/audit.ts';
import { shown } from '#src/core/foreign-words.ts';
import { fingerprint } from '#src/core/node.ts';
import type { RequestKind, WaitingRequest } from '#src/core/request.ts';
import type { Rules } from '#src/hub/enrolment/approval-rules.ts';
import { openRules } from '#src/hub/enrolment/approval-rules.ts';
import type { JudgedRequest, Requests, Ruling } from '#src/hub/enrolment/requests.ts';
import type { ExplanationView, Judgement, PolicyStatus } from '#src/protocol/hub-api/judgement.ts';

export interface JudgeOptions {
  readonly dryRun: boolean;
  readonly approveEverything: boolean;
}

/** What waits is let in by rules here, where somebody asks for it. */
export interface Approvals {
  /** Does what the rules say, unless it is a dry run. Throws REQUEST_NOT_FOUND and NODE_AMBIGUOUS. */
  judge(word: string, options: JudgeOptions): Promise<Judgement>;
  /** Which rule would decide and why. Throws REQUEST_NOT_FOUND and NODE_AMBIGUOUS. */
  explain(word: string, options: Pick<JudgeOptions, 'approveEverything'>): ExplanationView;
  status(): PolicyStatus;
  readonly changes: Rules['changes'];
  /** Resolves when the rules are followed no longer. */
  readonly done: Promise<void>;
}

export interface ApprovalsOptions {
  readonly store: Pick<Store, 'audit' | 'auditHead'>;
  readonly requests: Pick<Requests, 'list' | 'find' | 'judge'>;
  /** What the rules file holds, now and from then on; ends by itself. */
  readonly policies: AsyncIterable<PolicyText>;
  readonly log: Log;
  /** Wall clock, milliseconds since the epoch: limits outlive this process. */
  readonly now?: () => number;
}

const HOUR_MS = 3600_000;

/** Resolves when the rules file was read for the first time. */
export async function openApprovals(options: ApprovalsOptions): Promise<Approvals> {
  const { requests, log, now = Date.now } = options;
  const rules = await openRules(options.policies, log);
  let approvals = await pastApprovals(options.store, now() - HOUR_MS);
  const recorded = createRecorded(requests);

  const context = () => {
    const at = now();
    approvals = approvals.filter((approval) => at - approval.at < HOUR_MS);
    return { now: at, approvals };
  };

  /** Null where what was approved counts already. */
  function count(request: ApprovalRequest, { rule }: Decision): PastApproval | null {
    if (isCounted(request, context())) return null;
    const approval = { at: now(), rule: rule ?? '', keyId: request.keyId };
    approvals.push(approval);
    return approval;
  }

  function rulingOn({ request }: JudgedRequest, decision: Decision): Ruling {
    const { verdict, rule, reason, enforced, labels, groups, models } = decision;
    const act = actOn(request, decision);
    const isNews = recorded.isNews(request, JSON.stringify([verdict, rule, reason, enforced]));
    const { kind, keyId, tailnet } = request;
    const detail = { kind, id: keyId, verdict, rule, reason, enforced, labels, groups, models, tailnet };
    return { act, labels, groups, models, detail: isNews || act !== 'nothing' ? detail : null };
  }

  return {
    async judge(word, { dryRun, approveEverything }) {
      const policy = rules.policy(approveEverything);
      if (dryRun) return judgement(judge(approvalRequest(requests.find(word)), policy, context()), 'nothing');
      const done: JudgedOnce[] = [];
      try {
        await requests.judge(word, BY_RULES, (asked) => {
          const request = approvalRequest(asked);
          const decision = judge(request, policy, context());
          const ruling = rulingOn(asked, decision);
          // At once: the next one is judged before this one's promise is settled.
          const counted = ruling.act === 'approve' ? count(request, decision) : null;
          done.push({ request, decision, act: ruling.act, counted });
          return ruling;
        });
      } catch (error) {
        approvals = approvals.filter((approval) => approval !== done[0]?.counted);
        throw error;
      }
      const { decision, act, request } = done[0]!;
      if (act !== 'nothing') {
        const { verdict, rule } = decision;
        const { kind, name, keyId } = request;
        log.info('the rules decided', { kind, node: shown(name), fingerprint: fingerprint(keyId), verdict, rule });
      }
      return judgement(decision, DONE[act]);
    },
    explain(word, { approveEverything }) {
      const explained = explain(approvalRequest(requests.find(word)), rules.policy(approveEverything), context());
      const { problem, everybody } = rules.status();
      return explanation(explained, approveEverything ? everybody.problem : problem);
    },
    status: rules.status,
    changes: rules.changes,
    done: rules.done,
  };
}

interface JudgedOnce {
  readonly request: ApprovalRequest;
  readonly decision: Decision;
  readonly act: Ruling['act'];
  /** What it takes of the limits. */
  readonly counted: PastApproval | null;
}

const DONE = { approve: 'approved', reject: 'rejected', nothing: 'nothing' } as const;

function actOn(request: WaitingRequest, { verdict, enforced }: Decision): Ruling['act'] {
  if (!enforced || verdict === 'hold') return 'nothing';
  return verdict === 'reject' && request.rejected ? 'nothing' : verdict;
}

function judgement({ retryAt, labels, groups, ...decision }: Decision, done: Judgement['done']): Judgement {
  const time = retryAt === null ? null : new Date(retryAt).toISOString();
  return { ...decision, labels: { ...labels }, groups: [...groups], retryAt: time, done };
}

function explanation({ decision, rules, lines }: Explanation, problem: string | null): ExplanationView {
  const { verdict, rule, reason, enforced } = decision;
  const views = rules.map(({ expired, conditions, ...one }) => ({
    ...one,
    expired: expired === null ? null : new Date(expired).toISOString(),
    conditions: conditions.map(({ wanted, ...condition }) => ({ ...condition, wanted: [...wanted] })),
  }));
  const said = problem === null ? lines : [`the rules file can’t be used: ${problem}`, ...lines];
  return { verdict, rule, reason, enforced, problem, rules: views, lines: [...said] };
}

function approvalRequest({ request, held }: JudgedRequest): ApprovalRequest {
  const { kind, keyId, name, role, openclawVersion, offers, commands, address, tailnet, isIdentified } = request;
  const { token, rejected } = request;
  return {
    ...{ kind, keyId, name, role, openclawVersion, offers, commands, address, tailnet, isIdentified },
    ...{ token, rejected, held },
  };
}

/** Requests that what was said of is remembered, beyond those that wait. */
const RECORDED_KEPT = 2000;

/** What the audit says of a request already: whoever asks again and again fills no disk. */
function createRecorded(requests: Pick<Requests, 'list'>) {
  let texts = new Map<string, string>();
  const keyOf = ({ kind, id, firstAskedAt }: WaitingRequest) => `${kind} ${id} ${firstAskedAt}`;

  function forget(): void {
    const waiting = new Set(requests.list().map(({ request }) => keyOf(request)));
    texts = new Map([...texts].filter(([key]) => waiting.has(key)));
  }

  return {
    /** Whether `text` is something else than what was said of the request the last time. */
    isNews(request: WaitingRequest, text: string): boolean {
      const key = keyOf(request);
      if (texts.get(key) === text) return false;
      if (texts.size >= RECORDED_KEPT) forget();
      texts.set(key, text);
      return true;
    },
  };
}

/** Records that are read at once. */
const PAGE = 1000;

/** What the rules approved since then. The audit knows it, also of nodes that are members no longer. */
async function pastApprovals(store: ApprovalsOptions['store'], since: number): Promise<PastApproval[]> {
  let records: AuditRecord[] = [];
  for (let end = (await store.auditHead()).seq; end > 0; end -= PAGE) {
    const after = Math.max(0, end - PAGE);
    const recent = (await store.audit(after, end - after)).filter(({ at }) => at > since);
    if (recent.length === 0) break;
    records = [...recent, ...records];
  }
  const counted: PastApproval[] = [];
  for (const { at, action, by, detail } of records) {
    const { rule, id: keyId = '', kind } = detail as { rule?: unknown; id?: string; kind?: RequestKind };
    if (action !== 'node.approve' || by !== BY_RULES || typeof rule !== 'string') continue;
    const isHalf = kind !== undefined && isCounted({ kind, keyId }, { now: at, approvals: counted });
    if (!isHalf) counted.push({ at, rule, keyId });
  }
  return counted;
}
