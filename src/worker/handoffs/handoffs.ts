import type { ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Log } from '#src/adapters/log.ts';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { Artefact } from '#src/core/handoff/event.ts';
import type { AgentRunner } from '#src/core/handoff/runner.ts';
import type { HandoffOrder, HandoffStanding } from '#src/protocol/handoffs.ts';
import type { Consent } from '#src/worker/consent.ts';
import type { Entry, Unreadable } from '#src/worker/handoffs/entry.ts';
import type { Handoff } from '#src/worker/handoffs/handoff.ts';
import { startHandoff } from '#src/worker/handoffs/handoff.ts';
import { keptHandoff, openArtefact, UNKNOWN_HASH } from '#src/worker/handoffs/kept.ts';
import type { Prune } from '#src/worker/handoffs/prune.ts';
import { createPruning } from '#src/worker/handoffs/prune.ts';
import type { AgentQueue } from '#src/worker/handoffs/queue.ts';
import type { HandoffRecord, RecordedOrder } from '#src/worker/handoffs/record.ts';
import { actionOf, nameOf, orderHash, recordedOrder } from '#src/worker/handoffs/record.ts';
import type { Restored } from '#src/worker/handoffs/restore.ts';
import type { Transcript } from '#src/worker/handoffs/transcript.ts';
import { openTranscript } from '#src/worker/handoffs/transcript.ts';

/** The handoffs of this node: those that it works on, and those that are over and kept. All throw FederationError. */
export interface Handoffs {
  /** Resolves when it is durable that this node has it; a repeat says how it stands. */
  accept(order: HandoffOrder): Promise<HandoffStanding>;
  standing(id: string): HandoffStanding;
  follow(id: string, stream: ServerHttp2Stream, after: number): Promise<void>;
  cancel(id: string): HandoffStanding;
  artefact(id: string, name: string): Promise<{ readonly artefact: Artefact; readonly bytes: Readable }>;
  /** The order of a handoff that an agent here works on at this moment; null for any other. */
  working(id: string): RecordedOrder | null;
  /** Ends all; resolves when they are over. */
  endAll(): Promise<void>;
  /** Takes nothing new, until it is lifted. */
  lockDown(on: boolean): void;
  readonly prune: Prune;
  /** Resolves when those that go on were left to themselves; to be called when `leave` is aborted. */
  close(): Promise<void>;
}

export interface HandoffsOptions {
  readonly store: HandoffStore;
  readonly restored: readonly Restored[];
  readonly runner: AgentRunner;
  readonly queue: AgentQueue;
  readonly consent: Consent;
  /** Those that this node offers now. */
  readonly offered: () => readonly OfferedAgent[];
  readonly bootId: string;
  readonly keepMaxBytes: number;
  readonly leave: AbortSignal;
  readonly log: Log;
}

export function createHandoffs(options: HandoffsOptions): Handoffs {
  const { store, runner, queue, consent, offered, log } = options;
  const entries = new Map<string, Entry>();
  /** Those whose acceptance is on its way to the medium. */
  const accepting = new Map<string, Promise<HandoffStanding>>();
  /** Those of which the disk tells nothing, and since when that is known. */
  const unreadable = new Map<string, Unreadable>();
  let lockedDown = false;
  const advance = runner.onReady(queue.advance);
  for (const one of options.restored) restore(one);

  function restore(one: Restored): void {
    const { id, attempt, older } = one;
    if (one.kind === 'unreadable') return void unreadable.set(id, { attempt, older, since: Date.now() });
    if (one.kind === 'over') {
      const current = keptHandoff(store.open(nameOf(one)), one, one.over);
      entries.set(id, { attempt, older, hash: one.over.hash, current });
      return;
    }
    const { record, isAsked, isTorn, transcript } = one;
    const turn = Promise.withResolvers<void>();
    const place = queue.join(record.order.agent, turn.resolve);
    begin({ record, transcript, isAsked, isTorn, place, turn: turn.promise }, older);
  }

  type Beginning = Pick<
    Parameters<typeof startHandoff>[0],
    'record' | 'transcript' | 'isAsked' | 'isTorn' | 'place' | 'turn'
  >;

  function begin(beginning: Beginning, older: readonly number[]): Handoff {
    const { record, transcript } = beginning;
    const { order, hash } = record;
    const folder = store.open(nameOf(order));
    const { bootId, keepMaxBytes, leave } = options;
    const handoff = startHandoff({ ...beginning, folder, runner, bootId, keepMaxBytes, leave, log });
    const entry: Entry = { attempt: order.attempt, older, hash, current: handoff };
    entries.set(order.id, entry);
    void handoff.done.then(() => settle(entry, handoff, transcript)).catch(logFault);
    return handoff;
  }

  function logFault(error: unknown): void {
    log.error('something failed', { problem: String(error) });
  }

  /** What is over needs no open file, nor a place in memory for its order. */
  async function settle(entry: Entry, handoff: Handoff, transcript: Transcript): Promise<void> {
    const { order, hash } = handoff.record;
    const folder = store.open(nameOf(order));
    const { ended, seq } = transcript;
    if (ended !== null && transcript.isWhole) {
      const over = { outcome: ended.outcome, seq, hash, endedAt: Date.now() };
      await folder.markOver(JSON.stringify(over)).catch(() => undefined);
      entry.current = keptHandoff(folder, order, over);
      // Those who follow it still read from it.
      await handoff.unfollowed();
    }
    if (ended === null || transcript.isWhole) await transcript.close();
  }

  function found(id: string): Entry {
    const entry = entries.get(id);
    if (entry !== undefined) return entry;
    if (unreadable.has(id)) throw untold();
    throw new FederationError('HANDOFF_NOT_FOUND', `this node has no handoff ${id}`);
  }

  async function accept(order: HandoffOrder): Promise<HandoffStanding> {
    const recorded = recordedOrder(order);
    const hash = orderHash(recorded);
    // Of two that come at once, the second finds what became of the first.
    while (accepting.has(order.id)) await accepting.get(order.id)?.catch(() => undefined);
    const known = entries.get(order.id);
    if (known !== undefined && known.attempt >= order.attempt) {
      const isSame = known.hash === hash || known.hash === UNKNOWN_HASH;
      if (known.attempt === order.attempt && isSame) return known.current.standing();
      throw new FederationError('HANDOFF_CONFLICT', `this node knows the handoff ${order.id} otherwise`, {
        hint: 'give what is another task a key of its own',
      });
    }
    if ((unreadable.get(order.id)?.attempt ?? 0) >= order.attempt) throw untold();
    const made = take(order, { order: recorded, hash, boot: options.bootId, acceptedAt: Date.now() }, known);
    accepting.set(order.id, made);
    try {
      return await made;
    } finally {
      accepting.delete(order.id);
    }
  }

  async function take(order: HandoffOrder, record: HandoffRecord, older?: Entry): Promise<HandoffStanding> {
    demand(record.order, order);
    if (older !== undefined && 'stop' in older.current) {
      older.current.stop({ outcome: 'cancelled', problem: 'it was begun anew' });
      await older.current.done;
    }
    const turn = Promise.withResolvers<void>();
    // Its place counts from now, and its turn from when it is written down.
    const place = queue.join(order.agent, turn.resolve);
    try {
      const files = order.files.map(({ name, content }) => ({ name, bytes: Buffer.from(content, 'base64') }));
      const folder = await store.create(nameOf(order), JSON.stringify(record), files);
      const transcript = await openTranscript(folder, options.keepMaxBytes);
      const before = older ?? unreadable.get(order.id);
      const attempts = before === undefined ? [] : [...before.older, before.attempt];
      const handoff = begin({ record, transcript, isAsked: false, isTorn: false, place, turn: turn.promise }, attempts);
      unreadable.delete(order.id);
      return handoff.standing();
    } catch (cause) {
      place.leave();
      await withdraw(nameOf(order));
      throw new FederationError('DISK_FULL', 'this node can’t write down what it is to do', {
        hint: 'free space on the disk that holds the worker’s home',
        cause,
      });
    }
  }

  /** What is refused goes to another node: it must not be found here, and begun, by a daemon after this one. */
  async function withdraw(name: string): Promise<void> {
    await store.remove(name).catch((cause: unknown) => {
      throw new FederationError('STEP_FAILED', 'this node can’t say whether it has it', {
        hint: 'look at the disk that holds the worker’s home',
        cause,
      });
    });
  }

  /** Throws where it may not be taken; an approval is used up by it otherwise. */
  function demand(recorded: RecordedOrder, { asker, approval }: HandoffOrder): void {
    const { agent } = recorded;
    if (lockedDown) {
      throw new FederationError('LOCKED_DOWN', 'the federation is locked down', {
        hint: 'manage-federation lockdown --lift',
      });
    }
    const wanted = { asker, approval, action: actionOf(recorded) };
    const { kind, rule } = consent.judge(wanted);
    if (kind !== 'allow') throw new FederationError('FORBIDDEN', rule, { hint: 'ask the owner of this federation' });
    if (!runner.isReady(agent)) {
      throw new FederationError('GATEWAY_UNREACHABLE', 'the OpenClaw gateway of this node can’t be reached', {
        hint: 'openclaw gateway status, on that node',
      });
    }
    if (!offered().some(({ id }) => id === agent)) {
      throw new FederationError('AGENT_NOT_FOUND', `this node has no agent ${agent}`, {
        hint: 'manage-federation agents',
      });
    }
    if (!queue.hasRoom(agent)) {
      throw new FederationError('QUEUE_FULL', `as many as may wait for ${agent} wait already`, {
        hint: 'try again later, or raise handoffs.queueMax on that node',
      });
    }
    consent.take(wanted);
  }

  function running(): Handoff[] {
    return [...entries.values()].flatMap(({ current }) => ('stop' in current ? [current] : []));
  }

  return {
    accept,
    standing: (id) => found(id).current.standing(),
    follow: (id, stream, after) => found(id).current.follow(stream, after),
    cancel(id) {
      const { current } = found(id);
      if ('stop' in current) current.stop({ outcome: 'cancelled', problem: 'it was cancelled' });
      return current.standing();
    },
    async artefact(id, name) {
      const { attempt } = found(id);
      const opened = await openArtefact(store.open(nameOf({ id, attempt })), name);
      if (opened !== null) return opened;
      throw new FederationError('NOT_FOUND', `the handoff ${id} has no file of that name`, {
        hint: `manage-federation handoff show ${id}`,
      });
    },
    working(id) {
      const current = entries.get(id)?.current;
      if (current === undefined || !('stop' in current)) return null;
      return current.standing().state === 'started' ? current.record.order : null;
    },
    async endAll() {
      const all = running();
      for (const handoff of all) handoff.stop({ outcome: 'cancelled', problem: 'everything on this node was ended' });
      await Promise.all(all.map(({ done }) => done));
    },
    lockDown: (on) => void (lockedDown = on),
    prune: createPruning({ store, entries, unreadable, onFault: logFault }),
    async close() {
      advance();
      await Promise.all(running().map(({ done }) => done));
    },
  };
}

/** It may have run: no proof that it did not. */
function untold(): FederationError {
  return new FederationError('STEP_FAILED', 'this node can’t read what it wrote down of it', {
    hint: 'look at the disk that holds the worker’s home',
  });
}
