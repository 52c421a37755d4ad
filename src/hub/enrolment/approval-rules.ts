import { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { PolicyText } from '#src/adapters/policy-file.ts';
import type { ApprovalPolicy } from '#src/core/approval-policy.ts';
import { parsePolicy } from '#src/core/approval-policy.ts';
import type { PolicyStatus } from '#src/protocol/hub-api/judgement.ts';

/** The rules as they were when the file could be used last. */
export interface Rules {
  /** With or without those that approve everybody. */
  policy(approveEverything: boolean): ApprovalPolicy;
  status(): PolicyStatus;
  /** Says that the rules may be others now. */
  readonly changes: EventEmitter<{ policy: [] }>;
  /** Resolves when the file is followed no longer. */
  readonly done: Promise<void>;
}

const NO_RULES: ApprovalPolicy = { mode: 'enforce', maxPerHour: 10, rules: [] };

/** Resolves when the file was read for the first time. */
export async function openRules(policies: AsyncIterable<PolicyText>, log: Log): Promise<Rules> {
  const changes: Rules['changes'] = new EventEmitter();
  const iterator = policies[Symbol.asyncIterator]();
  let state: PolicyStatus['state'] = 'none';
  let problem: string | null = null;
  let everybodyProblem: string | null = null;
  let [narrow, wide] = [NO_RULES, NO_RULES];

  function take(text: PolicyText): void {
    const [asItIs, everybody] = [false, true].map((approveEverything) => policyIn(text, approveEverything));
    if (everybody!.ok) wide = everybody!.policy;
    if (asItIs!.ok) narrow = asItIs!.policy;
    problem = asItIs!.ok ? null : asItIs!.problems.join('; ');
    everybodyProblem = everybody!.ok ? null : everybody!.problems.join('; ');
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
      everybody: { rules: wide.rules.length, problem: everybodyProblem },
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
