import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';

/** How an invocation ended. Never merged, never guessed: see the table in docs/outcomes.md. */
export const OUTCOMES = [
  'ok',
  'failed',
  'signaled',
  'timeout',
  'unreachable',
  'unknown',
  'cancelled',
  'skipped',
  'denied',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The worker's word on a process that it started and saw end. The only proof of an end that there is. */
export interface ExitRecord {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why the worker ended it, if the worker did. */
  readonly ended: 'itself' | 'timeout' | 'cancelled' | 'hub-lost' | 'revoked';
  /** Set when the process never started: no such program, not executable, no such directory. */
  readonly spawnError?: string;
  readonly durationMs: number;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** Output that was produced and not delivered, because nobody was connected to take it. */
  readonly truncated: boolean;
  /** Processes of this invocation that were still alive after KILL. */
  readonly survivors: number;
}

export function outcomeOf(exit: ExitRecord): Outcome {
  switch (exit.ended) {
    case 'timeout':
      return 'timeout';
    case 'cancelled':
    case 'hub-lost':
    case 'revoked':
      return 'cancelled';
    case 'itself':
      if (exit.signal !== null) return 'signaled';
      return exit.exitCode === 0 ? 'ok' : 'failed';
  }
}

const DENIALS: ReadonlySet<ErrorCode> = new Set([
  'FORBIDDEN',
  'LOCKED_DOWN',
  'PATH_DENIED',
  'TOOL_DENIED',
  'EPOCH_STALE',
]);
const NEVER_SENT: ReadonlySet<ErrorCode> = new Set(['MACHINE_UNREACHABLE']);
/** Whoever was to say how it ended went away: the node, its gateway, or this process. */
const NO_ANSWER: ReadonlySet<ErrorCode> = new Set(['LINK_LOST', 'GATEWAY_UNREACHABLE', 'INTERNAL']);

/**
 * How something ended that a node was asked for and that failed by `error`: a file, a tool. What is no error of ours is
 * that nobody was there any more to hear of the end.
 */
export function outcomeOfFailure(error: unknown): Outcome {
  if (!(error instanceof FederationError) || NO_ANSWER.has(error.code)) return 'unknown';
  if (DENIALS.has(error.code)) return 'denied';
  return NEVER_SENT.has(error.code) ? 'unreachable' : 'failed';
}

export interface Ending {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Numbers that a shell adds to 128, as Linux has them (signal(7)); macOS differs for BUS, USR1, USR2, SYS and IO. */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** Exit code of `exec` on one node. `--json` carries the outcome, so that 254 and 255 stay unambiguous there. */
export function execExitCode(ending: Ending): number {
  switch (ending.outcome) {
    case 'ok':
    case 'failed':
      return Math.min(ending.exitCode ?? 1, 253);
    case 'signaled':
      return 128 + (SIGNAL_NUMBERS[ending.signal ?? ''] ?? 0);
    case 'timeout':
      return 124;
    case 'cancelled':
      return 130;
    case 'unknown':
      return 254;
    case 'unreachable':
    case 'denied':
    case 'skipped':
      return 255;
  }
}

export type Summary = Readonly<Partial<Record<Outcome, number>>>;

export function summarize(endings: Iterable<{ readonly outcome: Outcome }>): Summary {
  const summary: Partial<Record<Outcome, number>> = {};
  for (const { outcome } of endings) summary[outcome] = (summary[outcome] ?? 0) + 1;
  return summary;
}

/** What each outcome makes of a broadcast: the highest code wins. */
const BROADCAST_CODES: Readonly<Record<Outcome, number>> = {
  ok: 0,
  failed: 1,
  signaled: 1,
  timeout: 4,
  unreachable: 4,
  unknown: 4,
  skipped: 5,
  denied: 6,
  cancelled: 130,
};

/** Exit code of `broadcast`, and of `exec` on a selector. Nothing turns a silent node into 0. */
export function broadcastExitCode(summary: Summary): number {
  return Math.max(
    0,
    ...OUTCOMES.filter((outcome) => (summary[outcome] ?? 0) > 0).map((outcome) => BROADCAST_CODES[outcome]),
  );
}
