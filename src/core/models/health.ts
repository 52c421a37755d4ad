/** How one model of one upstream of one node has done lately. All times are milliseconds of one clock, given by the caller. */
export interface Health {
  /** In a row, the latest ones. */
  readonly failures: number;
  readonly failedAt: number;
  /** Null while it is in use. */
  readonly outage: Outage | null;
  /** Moving mean of the time to the first byte; null before the first one. */
  readonly firstByteMs: number | null;
  readonly sampledAt: number;
}

/** It is out of use because it failed, and how it gets back. */
export interface Outage {
  readonly since: number;
  /** When it may be tried again. */
  readonly until: number;
  readonly coolMs: number;
  /** It kept a client waiting before it failed: nobody is to wait for it again before it is known to answer. */
  readonly needsProbe: boolean;
  /** When the one request that tries it began; null where none does. */
  readonly trialAt: number | null;
  /** What it did, in words. */
  readonly reason: string;
}

export interface Failure {
  readonly kind: 'connect' | 'first-byte' | 'status' | 'truncated';
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  /** When the request began. */
  readonly startedAt: number;
}

/** `in` use, `out` of it, `due` for one request that tries it, or `tried` by that request now. */
export type Standing = 'in' | 'out' | 'due' | 'tried';

export const HEALTHY: Health = { failures: 0, failedAt: -Infinity, outage: null, firstByteMs: null, sampledAt: 0 };

/** Failures in a row that put it out. */
const PUT_OUT_BY = 2;
/** Out for so long at first, then twice as long each time, and never so long that it is missed once it is well. */
const FIRST_COOL_MS = 1000;
const MAX_COOL_MS = 4500;
/** A trial that has not answered by then keeps no other from trying. */
const TRIAL_MS = 4000;
/** One that no probe finds well is tried all the same then: it may only not like to be probed. */
const UNPROBED_MS = 30_000;
/** Longest Retry-After that is believed. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** Share of the newest sample in the mean. */
const NEWEST = 0.2;
/** What it took so long ago says nothing of now. */
const FORGOTTEN_MS = 60_000;

export function standing({ outage }: Health, now: number): Standing {
  if (outage === null) return 'in';
  if (now < outage.until || (outage.needsProbe && now - outage.since < UNPROBED_MS)) return 'out';
  return outage.trialAt !== null && now - outage.trialAt < TRIAL_MS ? 'tried' : 'due';
}

/** A request goes to it. */
export function begun(health: Health, now: number): Health {
  const { outage } = health;
  return outage === null || standing(health, now) !== 'due'
    ? health
    : { ...health, outage: { ...outage, trialAt: now } };
}

/** It answered, `firstByteMs` after the request that began at `startedAt`. */
export function answered(health: Health, startedAt: number, firstByteMs: number, now: number): Health {
  const before = latency(health, now);
  const mean = before === null ? firstByteMs : before + NEWEST * (firstByteMs - before);
  const sampled = { ...health, firstByteMs: mean, sampledAt: now };
  const { outage } = health;
  if (outage === null) return { ...sampled, failures: 0 };
  // What began before the outage says nothing of its end.
  if (startedAt < outage.since) return sampled;
  return { ...sampled, outage: null, failures: PUT_OUT_BY - 1 };
}

/** It failed. What asks for patience (429, Retry-After) gets it at once. */
export function failed(health: Health, failure: Failure, now: number): Health {
  const { outage } = health;
  const asksMs = Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
  if (outage !== null && failure.startedAt < outage.since) {
    return { ...health, outage: { ...outage, until: Math.max(outage.until, now + asksMs) } };
  }
  const failures = health.failures + 1;
  const isPatient = failure.retryAfterMs !== null || failure.status === 429;
  if (outage === null && failures < PUT_OUT_BY && !isPatient) return { ...health, failures, failedAt: now };
  const coolMs = outage === null ? FIRST_COOL_MS : Math.min(outage.coolMs * 2, MAX_COOL_MS);
  const needsProbe = failure.kind === 'connect' || failure.kind === 'first-byte';
  const until = now + Math.max(coolMs, asksMs);
  return {
    ...health,
    ...{ failures, failedAt: now },
    outage: { since: now, until, coolMs, needsProbe, trialAt: null, reason: failureText(failure) },
  };
}

/** The request that was to try it told nothing: the client went. */
export function untold(health: Health, startedAt: number): Health {
  const { outage } = health;
  return outage?.trialAt !== startedAt ? health : { ...health, outage: { ...outage, trialAt: null } };
}

/** Somebody who is no client asked it whether it answers. */
export function probed(health: Health, isWell: boolean, now: number): Health {
  const { outage } = health;
  if (outage === null || !outage.needsProbe) return health;
  if (isWell) return { ...health, outage: { ...outage, needsProbe: false } };
  const coolMs = Math.min(outage.coolMs * 2, MAX_COOL_MS);
  return { ...health, outage: { ...outage, coolMs, until: now + coolMs } };
}

/** Milliseconds to the first byte that are to be expected; null where nothing is known, or not any more. */
export function latency({ firstByteMs, sampledAt }: Health, now: number): number | null {
  return firstByteMs === null || now - sampledAt > FORGOTTEN_MS ? null : firstByteMs;
}

function failureText({ kind, status, retryAfterMs }: Failure): string {
  const patience = retryAfterMs === null ? '' : ` and asked for ${Math.ceil(retryAfterMs / 1000)} s`;
  if (kind === 'status') return `it answered ${status ?? 'with an error'}${patience}`;
  if (kind === 'connect') return 'its upstream could not be reached';
  return kind === 'first-byte' ? 'it did not begin to answer in time' : 'its answers broke off';
}
