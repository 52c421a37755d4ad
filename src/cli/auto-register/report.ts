import type { Log } from '#src/adapters/log.ts';
import { say } from '#src/adapters/terminal.ts';
import type { Judged } from '#src/cli/auto-register/judge.ts';
import type { PolicyStatus } from '#src/protocol/hub-api.ts';

/** What `--watch` tells while it runs. */
export interface Report {
  connected(): void;
  /** Said once until the hub is back. */
  away(problem: string): void;
  policy(policy: PolicyStatus): void;
  decided(judged: Judged): void;
  failed(name: string, problem: string): void;
}

/** For a person who looks on. */
export function terminalReport(): Report {
  return {
    connected: () => say('connected to the hub; Ctrl-C ends this'),
    away: (problem) => say(`the hub is away, and is waited for: ${problem}`),
    policy: (policy) => say(policyText(policy)),
    decided: (judged) => say(decisionText(judged)),
    failed: (name, problem) => say(`${name} could not be judged, and is tried again: ${problem}`),
  };
}

/** For the journal. */
export function logReport(log: Log): Report {
  return {
    connected: () => log.info('connected to the hub'),
    away: (problem) => log.warn('the hub is away, and is waited for', { problem }),
    policy: (policy) => log[policy.state === 'broken' ? 'warn' : 'info'](policyText(policy), { ...policy }),
    decided: ({ name, ...decision }) => log.info(wordFor(decision), { node: name, ...decision }),
    failed: (name, problem) => log.warn('a node could not be judged, and is tried again', { node: name, problem }),
  };
}

/** `approved pi (896f-3850-0352-d5be): rule own servers approves it: its tailnet tag is tag:server` */
export function decisionText({ name, fingerprint, ...decision }: Judged): string {
  return `${wordFor(decision)} ${name} (${fingerprint}): ${decision.reason}`;
}

function wordFor({ verdict, done }: Pick<Judged, 'verdict' | 'done'>): string {
  if (done !== 'nothing') return done;
  return verdict === 'hold' ? 'held' : `would ${verdict}`;
}

function policyText({ state, mode, rules, problem }: PolicyStatus): string {
  const count = `${rules} ${rules === 1 ? 'rule' : 'rules'}`;
  switch (state) {
    case 'none':
      return 'there is no approval-policy.yaml: every node is held';
    case 'loaded':
      return `${count}, ${mode === 'warn' ? 'which are only said and not done' : 'enforced'}`;
    case 'broken':
      return `approval-policy.yaml can’t be used, and what it said before stays (${count}): ${problem}`;
  }
}
