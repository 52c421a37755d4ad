import type { ServerHttp2Stream } from 'node:http2';
import type { Log } from '#src/adapters/log.ts';
import type { HandoffFolder } from '#src/adapters/store/handoff-store.ts';
import type { HandoffOutcome } from '#src/core/handoff/state.ts';
import type { AgentRunner, RunEnd, RunEvent } from '#src/core/handoff/runner.ts';
import type { HandoffStanding } from '#src/protocol/handoffs.ts';
import { oneLine } from '#src/protocol/one-line.ts';
import { briefing, workOf } from '#src/worker/handoffs/briefing.ts';
import { follow } from '#src/worker/handoffs/follow.ts';
import type { QueuePlace } from '#src/worker/handoffs/queue.ts';
import type { HandoffRecord } from '#src/worker/handoffs/record.ts';
import { nameOf } from '#src/worker/handoffs/record.ts';
import { sealArtefacts } from '#src/worker/handoffs/artefacts.ts';
import { startTimers } from '#src/worker/handoffs/timers.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';

/** A handoff that this node has taken, while it is not over. */
export interface Handoff {
  readonly record: HandoffRecord;
  standing(): HandoffStanding;
  follow(stream: ServerHttp2Stream, after: number): Promise<void>;
  /** Asks for its end; again, it does nothing. */
  stop(why: Ending): void;
  /** Resolves when nobody follows it. */
  unfollowed(): Promise<void>;
  /** Resolves when it is over, or left to itself. */
  readonly done: Promise<void>;
}

export interface Ending {
  readonly outcome: Extract<HandoffOutcome, 'cancelled' | 'expired' | 'failed'>;
  readonly problem: string;
}

export interface HandoffParts {
  readonly record: HandoffRecord;
  readonly folder: HandoffFolder;
  readonly transcript: Transcript;
  readonly runner: AgentRunner;
  readonly place: QueuePlace;
  /** Resolves when it may begin: it is durable, and its turn. Rejects where it could not be written down. */
  readonly turn: Promise<void>;
  /** Whether the agent was asked already, by a daemon before this one. */
  readonly isAsked: boolean;
  /** Whether a power cut may have taken events that the hub has: what follows waits until it says which it has. */
  readonly isTorn: boolean;
  readonly bootId: string;
  readonly keepMaxBytes: number;
  /** Ends the daemon's care for it; it goes on in its gateway. */
  readonly leave: AbortSignal;
  readonly log: Log;
}

/** How long a run may take to end when it is asked to. */
const GIVE_UP_MS = 5000;
/** How long it is asked for its end when nobody waits for that any more: its gateway may only be away. */
const INSIST_MS = 60_000;

export function startHandoff(parts: HandoffParts): Handoff {
  const { record, folder, transcript, runner, place, turn, leave, log } = parts;
  const { order } = record;
  const stopping = new AbortController();
  const floor = Promise.withResolvers<void>();
  const over = new AbortController();
  const left = aborted(leave, over.signal);
  const stopped = aborted(stopping.signal, over.signal);
  const insisting = new AbortController();
  const followers = new Set<Promise<void>>();
  let ending: Ending | null = null;
  let asked = parts.isAsked;
  /** The first event of each attempt is that it started. */
  let started = transcript.seq > 0;
  /** What was said to a daemon before this one is told again with the first that is said to this one. */
  let spoken = transcript.spoken;

  function stop(why: Ending): void {
    ending ??= why;
    stopping.abort();
  }

  const timers = startTimers(record, asked, stop);

  function hear(event: RunEvent): void {
    timers.heard();
    try {
      if (event.type === 'started') {
        if (!started) transcript.add({ type: 'started', attempt: order.attempt, agent: order.agent });
        started = true;
      } else if (event.type === 'text') say(event.text);
      else if (event.type !== 'alive') transcript.add(event);
    } catch (error) {
      log.error('what an agent did can’t be written down', { handoff: order.id, problem: String(error) });
      stop({ outcome: 'failed', problem: 'the disk of its node took nothing more' });
    }
  }

  function say(text: string): void {
    const fresh = text.startsWith(spoken) ? text.slice(spoken.length) : text;
    spoken = '';
    if (fresh !== '') transcript.add({ type: 'text', text: fresh });
  }

  async function work(): Promise<void> {
    if (parts.isTorn) {
      // Nobody may ever ask for it, and the machine that it ran on was off.
      place.leave();
      await Promise.race([floor.promise, stopped, left]);
      started = transcript.seq > 0;
    }
    const end = asked ? await bounded(runner.attach(runOrder())) : await begin();
    if (leave.aborted && end.kind === 'left') return;
    await finish(end);
  }

  /** From its place in the queue to the end of its run. */
  async function begin(): Promise<RunEnd> {
    await Promise.race([turn, stopped, left]);
    for (;;) {
      if (leave.aborted) return { kind: 'left' };
      if (stopping.signal.aborted) return { kind: 'not-started', problem: '', again: false };
      await untilReady();
      if (leave.aborted || stopping.signal.aborted) continue;
      await folder.markStarting(parts.bootId);
      asked = true;
      timers.begun();
      const told = { message: briefing(order, folder.path), work: workOf(order, folder.path) };
      const end = await bounded(runner.run({ ...runOrder(), ...told }));
      if (end.kind !== 'not-started' || !end.again) return end;
      await folder.unmarkStarting();
      asked = false;
      timers.waits();
    }
  }

  function runOrder() {
    return {
      key: nameOf(order),
      agent: order.agent,
      handoff: order.id,
      onEvent: hear,
      stop: stopping.signal,
      leave: AbortSignal.any([leave, insisting.signal]),
    };
  }

  async function untilReady(): Promise<void> {
    while (!runner.isReady(order.agent) && !leave.aborted && !stopping.signal.aborted) {
      const changed = Promise.withResolvers<void>();
      const end = runner.onReady(changed.resolve);
      await Promise.race([changed.promise, stopped, left]);
      end();
    }
  }

  /** A run that does not end when it is asked to is not waited for. */
  async function bounded(run: Promise<RunEnd>): Promise<RunEnd> {
    const ended = new AbortController();
    const late = Promise.withResolvers<RunEnd>();
    let timer: NodeJS.Timeout | undefined;
    const giveUp = (): void => {
      late.resolve({ kind: 'lost', problem: 'the agent did not stop within 5 seconds, and may still be at it' });
      const insist = setTimeout(() => insisting.abort(), INSIST_MS).unref();
      void run.finally(() => clearTimeout(insist));
    };
    const onStop = (): void => void (timer = setTimeout(giveUp, GIVE_UP_MS));
    if (stopping.signal.aborted) onStop();
    else stopping.signal.addEventListener('abort', onStop, { once: true, signal: ended.signal });
    try {
      return await Promise.race([run, late.promise]);
    } finally {
      ended.abort();
      clearTimeout(timer);
    }
  }

  async function finish(end: RunEnd): Promise<void> {
    timers.close();
    const verdict = judge(end, ending);
    const media = end.kind === 'ended' ? end.media : [];
    const said = asked ? await sealed(media) : null;
    const problem = [verdict.problem, said].filter((text) => text !== null && text !== '').join('; ');
    const text = end.kind === 'ended' ? end.text : '';
    const usage = end.kind === 'ended' ? end.usage : null;
    const deed = {
      type: 'ended',
      outcome: verdict.outcome,
      text,
      problem: oneLine(problem).slice(0, 1000).toWellFormed() || null,
      usage,
    } as const;
    await transcript.end(deed);
    log.info('a handoff is over', { handoff: order.id, agent: order.agent, outcome: verdict.outcome });
  }

  /** An answer is one without its files, too. */
  async function sealed(media: readonly string[]): Promise<string | null> {
    try {
      return await sealArtefacts(folder, transcript, { media, keepMaxBytes: parts.keepMaxBytes });
    } catch (error) {
      log.error('the files of an answer can’t be kept', { handoff: order.id, problem: String(error) });
      return 'its files could not be kept on its node';
    }
  }

  async function conduct(): Promise<void> {
    try {
      await work();
    } catch (error) {
      log.error('a handoff failed inside', { handoff: order.id, problem: String(error) });
      // Before its agent was asked, nothing can have happened.
      const outcome = asked ? 'lost' : 'failed';
      const problem = 'its node could not write down what became of it';
      await transcript.end({ type: 'ended', outcome, text: '', problem, usage: null }).catch(() => undefined);
    } finally {
      over.abort();
      timers.close();
      place.leave();
    }
  }

  return {
    record,
    standing() {
      const { ended, seq } = transcript;
      const state = ended?.outcome ?? (asked ? 'started' : 'waiting');
      return { id: order.id, attempt: order.attempt, state, position: ended === null ? place.position() : null, seq };
    },
    async follow(stream, after) {
      if (parts.isTorn) transcript.skipTo(after);
      floor.resolve();
      const following = follow(stream, transcript, after, place);
      followers.add(following);
      await following.finally(() => followers.delete(following));
    },
    stop,
    async unfollowed() {
      while (followers.size > 0) await Promise.all(followers);
    },
    done: conduct(),
  };
}

function judge(end: RunEnd, ending: Ending | null): { outcome: HandoffOutcome; problem: string | null } {
  switch (end.kind) {
    case 'ended':
      // What was done before anybody could stop it is done.
      if (ending === null || end.outcome === 'completed') return end;
      return ending;
    case 'not-started':
      return ending ?? { outcome: 'failed', problem: end.problem };
    case 'lost':
      if (ending === null) return { outcome: 'lost', problem: end.problem };
      return { outcome: ending.outcome, problem: `${ending.problem}; ${end.problem}` };
    case 'left':
      return { outcome: 'lost', problem: 'it was left to itself' };
  }
}

/** Resolves when the signal is aborted; `over`: nobody waits for that any more. */
function aborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener('abort', () => resolve(), { once: true, signal: over });
  return promise;
}
