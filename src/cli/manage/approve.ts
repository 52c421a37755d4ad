import type { HubApi } from '#src/adapters/hub.ts';
import { reportError, say } from '#src/adapters/terminal.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import type { HubNews } from '#src/cli/manage/hub-news.ts';
import { followHub } from '#src/cli/manage/hub-news.ts';
import type { Progress, Step } from '#src/cli/manage/usable.ts';
import { missingStep, untilUsable } from '#src/cli/manage/usable.ts';
import { showWaiting } from '#src/cli/manage/waiting-line.ts';
import { printJson } from '#src/cli/print.ts';
import type { ErrorBody } from '#src/core/errors.ts';
import { errorBody, exitCodeOf, FederationError } from '#src/core/errors.ts';
import { shellWord } from '#src/core/shell-word.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { ApprovedView, PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';

export interface ApproveFlags extends GlobalFlags {
  readonly replace?: boolean;
  /** False for `--no-models`. */
  readonly models: boolean;
  /** False for `--no-wait`. */
  readonly wait: boolean;
  readonly timeout: string;
}

/** What became of one word; `--json` prints them as they are. */
interface Outcome {
  readonly word: string;
  /** Null where nothing was approved: it failed, or was let in before. */
  readonly approved: ApprovedView | null;
  /** Null where that was not waited for. */
  usable: boolean | null;
  readiness: Readiness | null;
  error: ErrorBody | null;
}

const INTERRUPTED = 130;

/**
 * `manage-federation approve WORD…`: lets all of them in, and waits until each can be used; one that fails does not
 * stop the others. Returns the exit code of the worst.
 */
export async function approveNodes(words: readonly string[], flags: ApproveFlags): Promise<number> {
  const timeoutMs = parseDuration(flags.timeout, '--timeout');
  const hub = await hubOf(flags);
  const [stopping, over] = [new AbortController(), new AbortController()];
  const interrupts = followInterrupts({ first: () => stopping.abort(), second: () => process.exit(INTERRUPTED) });
  const [outcomes, print]: [Outcome[], (text: string) => void] = [[], flags.json === true ? () => undefined : say];
  try {
    // Before the first approval, so that no step of what it begins is missed.
    const news = flags.wait ? await followHub(hub, over.signal) : null;
    const refused = flags.wait ? await refusedBefore(hub) : new Set<string>();
    for (const word of new Set(words)) {
      if (!stopping.signal.aborted) outcomes.push(await approved(hub, word, flags, print));
    }
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)]);
    const awaited = outcomes.filter(isAwaited);
    if (news !== null && awaited.length > 0 && !stopping.signal.aborted) {
      for (const { approved: view } of awaited) if (view !== null && refused.has(view.id)) print(askingAgain(view));
      const waiting = showWaiting(awaited.map(nameIn), timeoutMs, { silent: flags.json === true });
      const following = { hub, news, signal, ...waiting };
      await Promise.all(awaited.map((one) => follow(one, following))).finally(waiting.stop);
    }
  } finally {
    over.abort();
    interrupts.stop();
  }
  const { aborted } = stopping.signal;
  const [first] = outcomes;
  // One word that names nothing is a wrong use like any other.
  if (!aborted && words.length === 1 && first !== undefined && first.error !== null && !isIn(first)) {
    throw asThrown(first.error);
  }
  if (aborted) sayLeft(words, outcomes, print);
  else if (flags.json !== true) for (const { error } of outcomes) if (error !== null) reportError(asThrown(error));
  if (flags.json === true) printJson(outcomes);
  const codes = outcomes.map(({ error }) => (error === null ? 0 : exitCodeOf(error.code)));
  return aborted ? INTERRUPTED : Math.max(...codes);
}

/** Lets it in; where nothing of that name waits, it may be one that was let in before. */
async function approved(
  hub: HubApi,
  word: string,
  { replace = false, models }: ApproveFlags,
  print: (text: string) => void,
): Promise<Outcome> {
  const nothing = { word, approved: null, usable: null, readiness: null, error: null };
  try {
    const path = `/pairing-requests/${encodeURIComponent(word)}/approve`;
    const view = await hub.ask<ApprovedView>('POST', path, { replace, models });
    print(`approved ${oneLine(view.name)} (${view.fingerprint}) as ${view.role}${replacedText(view)}`);
    return { ...nothing, approved: view };
  } catch (error) {
    const readiness = await known(hub, word, error);
    if (readiness === null) return { ...nothing, error: errorBody(expected(error)) };
    const { kind, name } = readiness;
    print(`${oneLine(name)} ${kind === 'member' ? 'is a member already' : 'was let in already'}`);
    return { ...nothing, readiness };
  }
}

/** How far one is that waits no longer; null where the error is another, or there is no such node. */
async function known(hub: HubApi, word: string, error: unknown): Promise<Readiness | null> {
  if (!(error instanceof FederationError) || error.code !== 'REQUEST_NOT_FOUND') return null;
  try {
    return await hub.ask<Readiness>('GET', `/nodes/${encodeURIComponent(word)}/readiness`);
  } catch {
    return null;
  }
}

/** An operator has nothing to connect with before they type something. */
function isAwaited(one: Outcome): boolean {
  return isIn(one) && one.approved?.kind !== 'operator';
}

/** The ids of those that were told no, and so do not wait on their line. */
async function refusedBefore(hub: HubApi): Promise<ReadonlySet<string>> {
  const requests = await hub.ask<PairingRequestView[]>('GET', '/pairing-requests');
  const nodes = await hub.ask<NodeView[]>('GET', '/nodes');
  const rejected = requests.filter((request) => request.rejected);
  return new Set([...rejected, ...nodes.filter(({ state }) => state === 'revoked')].map(({ id }) => id));
}

function askingAgain({ name }: ApprovedView): string {
  return `${oneLine(name)} was refused before: it asks again within a minute`;
}

interface Following {
  readonly hub: HubApi;
  readonly news: HubNews;
  readonly signal: AbortSignal;
  readonly print: (text: string) => void;
  readonly begin: () => void;
}

async function follow(one: Outcome, { hub, news, signal, print, begin }: Following): Promise<void> {
  const id = one.approved?.id ?? one.readiness?.id;
  if (id === undefined) return;
  try {
    const readiness = await untilUsable(id, { hub, news, signal, progress: progressOn(print, begin) });
    [one.readiness, one.usable] = [readiness, readiness?.usable === true];
    if (one.usable) print(`${nameIn(one)} is usable`);
    else one.error = errorBody(notUsable(nameIn(one), readiness === null ? null : missingStep(readiness)));
  } catch (error) {
    one.error = errorBody(expected(error));
  }
}

function progressOn(print: (text: string) => void, begin: () => void): Progress {
  const printRun = ({ run }: Step): void => (run === null ? undefined : print(`  ${oneLine(run)}`));
  // Of what comes about by itself, only that it does not.
  const isTheirs = ({ step }: Step): boolean => step === 'reconnected';
  return {
    waits(name, step) {
      begin();
      print(`${oneLine(name)} waits for ${waitText(step)}`);
      if (isTheirs(step)) printRun(step);
    },
    stuck: (_name, step) => (isTheirs(step) ? undefined : printRun(step)),
  };
}

function notUsable(name: string, step: Step | null): FederationError {
  const what = step === null ? 'the hub’s answer' : `${waitText(step)} (step ${step.step})`;
  return new FederationError('NOT_USABLE', `${name} is let in, but not usable yet: it waits for ${what}`, {
    hint: oneLine(step?.run ?? `manage-federation approve ${shellWord(name)}, to wait again`),
  });
}

function waitText({ step, waitsFor }: Step): string {
  return oneLine(waitsFor ?? step);
}

/** After a Ctrl-C: what is so all the same. */
function sayLeft(words: readonly string[], outcomes: readonly Outcome[], print: (text: string) => void): void {
  const unseen = outcomes.filter((one) => isIn(one) && one.usable !== true).map(nameIn);
  const tried = new Set(outcomes.map(({ word }) => word));
  const left = [...new Set(words)].filter((word) => !tried.has(word));
  if (unseen.length > 0) print(`let in, and not waited for any longer: ${unseen.join(', ')}`);
  if (left.length > 0) print(`not approved: ${left.join(', ')}`);
  for (const one of outcomes) one.error = isIn(one) ? null : one.error;
}

function isIn({ approved: view, readiness }: Outcome): boolean {
  return view !== null || readiness !== null;
}

function nameIn({ word, approved: view, readiness }: Outcome): string {
  return oneLine(view?.name ?? readiness?.name ?? word);
}

function replacedText({ replaced }: ApprovedView): string {
  return replaced.length === 0
    ? ''
    : `; revoked is who had its place (${replaced.map((id) => id.slice(0, 12)).join(', ')})`;
}

/** The name of a device may hold anything. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** What is no failure on purpose is a bug of ours, and ends everything. */
function expected(error: unknown): FederationError {
  if (error instanceof FederationError) return error;
  throw error;
}

function asThrown({ code, message, hint }: ErrorBody): FederationError {
  return new FederationError(code, message, hint === undefined ? {} : { hint });
}
