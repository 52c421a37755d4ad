import type { Log } from '#src/adapters/log.ts';
import { harmless, say } from '#src/adapters/terminal.ts';
import type { Judged } from '#src/cli/auto-register/judge.ts';
import type { RequestKind } from '#src/core/request.ts';
import type { PolicyStatus } from '#src/protocol/hub-api/judgement.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';

/** A node that the rules let in. */
export type Arrival = Pick<Judged, 'name' | 'fingerprint'>;

/** What keeps a node that was let in from being usable. */
export interface Unfinished {
  /** Null where the hub could not tell. */
  readonly step: Readiness['steps'][number]['step'] | null;
  readonly waitsFor: string;
  /** What to run, and where. */
  readonly run: string | null;
}

/** What `--watch` tells while it runs. */
export interface Report {
  connected(): void;
  /** Said once until the hub is back, with what would bring it back. */
  away(problem: string, hint: string | null): void;
  policy(policy: PolicyStatus): void;
  decided(judged: Judged): void;
  failed(name: string, problem: string): void;
  /** `ms`: time since it was let in. */
  usable(node: Arrival, ms: number): void;
  /** Said once for each reason. */
  unfinished(node: Arrival, why: Unfinished): void;
}

/** For a person who looks on. */
export function terminalReport(): Report {
  return {
    connected: () => say('connected to the hub; Ctrl-C ends this'),
    away: (problem, hint) => {
      say(`the hub is away, and is waited for: ${problem}`);
      if (hint !== null) say(`  try: ${hint}`);
    },
    policy: (policy) => say(policyText(policy)),
    decided: (judged) => say(decisionText(judged)),
    failed: (name, problem) => say(`${name} could not be judged, and is tried again: ${problem}`),
    usable: (node, ms) => say(usableText(node, ms)),
    unfinished: (node, why) => say(unfinishedText(node, why)),
  };
}

/** For the journal, which is read on a terminal, too. */
export function logReport(log: Log): Report {
  return {
    connected: () => log.info('connected to the hub'),
    away: (problem, hint) =>
      log.warn('the hub is away, and is waited for', { problem, ...(hint === null ? {} : { try: hint }) }),
    policy: (policy) => log[policy.state === 'broken' ? 'warn' : 'info'](policyText(policy), { ...policy }),
    decided: ({ name, ...decision }) => log.info(wordFor(decision), { node: harmless(name), ...decision }),
    failed: (name, problem) =>
      log.warn('a node could not be judged, and is tried again', { node: harmless(name), problem: harmless(problem) }),
    usable: ({ name, fingerprint }, ms) =>
      log.info('usable', { node: harmless(name), fingerprint, seconds: Number(secondsText(ms)) }),
    unfinished: ({ name, fingerprint }, { step, waitsFor, run }) =>
      log.warn('half-approved', {
        ...{ node: harmless(name), fingerprint, step, waitsFor: harmless(waitsFor) },
        run: run === null ? null : harmless(run),
      }),
  };
}

/** What is asked for; a node that wants in goes without saying. */
const WANTS: Readonly<Record<RequestKind, string>> = {
  join: '',
  more: ', to offer more',
  moved: ', from another machine',
  device: ', to pair with OpenClaw',
  surface: ', to offer its commands to OpenClaw',
  operator: ', to operate',
};

/** `approved pi (896f-3850-0352-d5be): rule own servers approves it: its tailnet tag is tag:server` */
export function decisionText({ kind, name, fingerprint, ...decision }: Judged): string {
  return `${wordFor(decision)} ${oneLine(name)} (${fingerprint})${WANTS[kind]}: ${decision.reason}`;
}

/** `usable pi (896f-3850-0352-d5be), 1.2 s after it was let in` */
export function usableText({ name, fingerprint }: Arrival, ms: number): string {
  return `usable ${oneLine(name)} (${fingerprint}), ${secondsText(ms)} s after it was let in`;
}

/** `half-approved mac (896f-3850-0352-d5be): step reconnected waits for it to connect again; on mac: open OpenClaw` */
export function unfinishedText({ name, fingerprint }: Arrival, { step, waitsFor, run }: Unfinished): string {
  const what = step === null ? `it can’t be looked at: ${waitsFor}` : `step ${step} waits for ${waitsFor}`;
  return `half-approved ${oneLine(name)} (${fingerprint}): ${what}${run === null ? '' : `; ${run}`}`;
}

function secondsText(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** A name of a device may hold anything. */
function oneLine(name: string): string {
  return name.replace(/\s+/g, ' ');
}

function wordFor({ verdict, done }: Pick<Judged, 'verdict' | 'done'>): string {
  if (done !== 'nothing') return done;
  return verdict === 'hold' ? 'held' : `would ${verdict}`;
}

export function policyText({ state, mode, rules, problem }: PolicyStatus): string {
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
