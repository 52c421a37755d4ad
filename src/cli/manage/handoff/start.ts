import { cancelHandoff } from '#src/adapters/handoffs/cancel.ts';
import { handIn } from '#src/adapters/handoffs/hand-in.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import { followInterrupts } from '#src/cli/interrupt.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { parseDuration } from '#src/cli/manage/duration.ts';
import { contextOf, filesOf, keyOf, wordsOf } from '#src/cli/manage/handoff/given.ts';
import type { WatchFlags } from '#src/cli/manage/handoff/watch.ts';
import { sayAway, screenFor, watchHandoff } from '#src/cli/manage/handoff/watch.ts';
import { placeText } from '#src/cli/manage/handoff/words.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';

export interface StartFlags extends GlobalFlags, WatchFlags {
  readonly contextFile?: string;
  readonly file?: readonly string[];
  readonly deadline?: string;
  readonly idleTimeout?: string;
  readonly queueTimeout?: string;
  readonly key?: string;
  readonly rerunnable?: boolean;
  readonly cancelOnDisconnect?: boolean;
  readonly detach?: boolean;
}

const INTERRUPTED = 130;
/** For a hub that went away while it was handed over. */
const HAND_IN_MS = 60_000;

/**
 * `manage-federation handoff start TARGET [TASK]`: hands a piece of work to an agent, and shows what it says to the end.
 * The first Ctrl-C asks for the end, the second leaves; so does a terminal that goes away.
 */
export async function startHandoff(target: string, task: string | undefined, flags: StartFlags): Promise<number> {
  const screen = screenFor(flags);
  refuseBoth(flags);
  const order = await orderOf(target, task, flags);
  const hub = await hubOf(flags);
  const cancelling = new AbortController();
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  const interrupts = followInterrupts({ first: () => cancelling.abort(), second: leave, hangUp: leave });
  let known: HandoffView | null = null;
  try {
    const options = { signal: leaving.signal, patienceMs: HAND_IN_MS, onAway: sayAway };
    const { view, isNew } = await handIn<HandoffView>(hub, '/handoffs', order, options);
    known = view;
    if (flags.detach === true) return detached(view, isNew, flags);
    if (flags.json !== true)
      say(`handoff ${view.id} to ${placeText(view)}${isNew ? '' : ', which the key stood for already'}`);
    const stop = (): void => void askForEnd(hub, view.id, leaving.signal);
    cancelling.signal.addEventListener('abort', stop, { once: true });
    if (cancelling.signal.aborted) stop();
    return await watchHandoff({ hub, id: view.id, after: 0, screen, signal: leaving.signal });
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    say(`\n${leftText(known)}`);
    return INTERRUPTED;
  } finally {
    interrupts.stop();
    leaving.abort();
  }
}

function refuseBoth({ detach, cancelOnDisconnect, ndjson }: StartFlags): void {
  if (detach !== true) return;
  if (cancelOnDisconnect === true) throw usage('--detach leaves it, and --cancel-on-disconnect ends what is left');
  if (ndjson === true) throw usage('--detach does not wait for events');
}

function usage(message: string): FederationError {
  return new FederationError('USAGE', message, { hint: 'leave one of them out' });
}

async function orderOf(target: string, task: string | undefined, flags: StartFlags): Promise<HandoffCreate> {
  const time = (flag: '--deadline' | '--idle-timeout' | '--queue-timeout', text: string | undefined) =>
    text === undefined ? null : parseDuration(text, flag);
  const leftMs = time('--deadline', flags.deadline);
  const idleTimeoutMs = time('--idle-timeout', flags.idleTimeout);
  const queueTimeoutMs = time('--queue-timeout', flags.queueTimeout);
  const files = await filesOf(flags.file ?? []);
  const context = flags.contextFile === undefined ? '' : await contextOf(flags.contextFile);
  return {
    key: keyOf(flags.key),
    target,
    task: await wordsOf(task, 'task', `manage-federation handoff start ${target} "what is to be done"`),
    context,
    files,
    // It begins when all of it is read, and not when it was typed.
    deadline: leftMs === null ? null : new Date(Date.now() + leftMs).toISOString(),
    ...(idleTimeoutMs === null ? {} : { idleTimeoutMs }),
    ...(queueTimeoutMs === null ? {} : { queueTimeoutMs }),
    rerunnable: flags.rerunnable ?? false,
    cancelOnDisconnect: flags.cancelOnDisconnect ?? false,
  };
}

/** The id is what was asked for. */
function detached(view: HandoffView, isNew: boolean, { json }: StartFlags): number {
  if (json === true) {
    printJson(view);
    return 0;
  }
  process.stdout.write(`${view.id}\n`);
  if (!isNew) say('the key stood for it already');
  say(`its answer: manage-federation handoff attach ${view.id}`);
  return 0;
}

async function askForEnd(hub: HubApi, id: string, signal: AbortSignal): Promise<void> {
  say('\nasks for its end … (Ctrl-C again leaves at once)');
  // What has just ended by itself, or was left, needs nobody to ask.
  await cancelHandoff(hub, id, { signal, patienceMs: Infinity, onAway: () => undefined }).catch(() => undefined);
}

function leftText(view: HandoffView | null): string {
  if (view === null) return 'left; whether it was handed over: manage-federation handoff list';
  return `left; it may still run: manage-federation handoff attach ${view.id}`;
}
