import { createHash } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffDeed, HandoffEvent } from '#src/core/handoff/event.ts';
import { isOver } from '#src/core/handoff/state.ts';
import { askerText } from '#src/core/policy.ts';
import type { Followed, HandoffDesk, HandoffWish } from '#src/hub/handoffs/desk.ts';
import type { AgentView, HandoffView } from '#src/protocol/handoffs.ts';

interface Kept {
  readonly wish: HandoffWish;
  view: HandoffView;
  readonly events: HandoffEvent[];
}

/** Handoffs in memory, of which a test says what happens in them. */
export interface MemoryDesk extends HandoffDesk {
  /** What was wanted, in the order of its coming; one for each execution. */
  readonly wishes: HandoffWish[];
  /** What was cancelled. */
  readonly cancelled: string[];
  /** In the handoff that was wanted last, or in another. */
  say(deed: HandoffDeed, id?: string): void;
  refuse: FederationError | null;
  offered: AgentView[];
}

export function memoryDesk(): MemoryDesk {
  const handoffs = new Map<string, Kept>();
  const changes = new EventEmitter().setMaxListeners(0);
  let last = '';

  function kept(id: string): Kept {
    const found = handoffs.get(id);
    if (found === undefined) throw new FederationError('HANDOFF_NOT_FOUND', `there is no handoff ${id}`);
    return found;
  }

  async function* follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<Followed> {
    let seq = after;
    const heard = on(changes, id, { signal });
    yield { kind: 'standing', view: kept(id).view };
    try {
      for (;;) {
        for (const event of kept(id).events.slice(seq)) {
          seq = event.seq;
          yield { kind: 'event', event };
        }
        if (isOver(kept(id).view.state)) {
          yield { kind: 'standing', view: kept(id).view };
          return;
        }
        await heard.next();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await heard.return?.();
    }
  }

  const desk: MemoryDesk = {
    wishes: [],
    cancelled: [],
    refuse: null,
    offered: [],
    say(deed, id = last) {
      const handoff = kept(id);
      const event = { ...deed, seq: handoff.events.length + 1 } as HandoffEvent;
      handoff.events.push(event);
      const { seq } = event;
      handoff.view = { ...handoff.view, seq };
      if (deed.type === 'started') handoff.view = { ...handoff.view, state: 'started', agent: deed.agent };
      if (deed.type === 'artefact') {
        const { name, size, sha256 } = deed;
        handoff.view = { ...handoff.view, artefacts: [...handoff.view.artefacts, { name, size, sha256 }] };
      }
      if (deed.type === 'ended') {
        const { outcome: state, text, problem, usage } = deed;
        handoff.view = { ...handoff.view, ...{ state, text, problem, usage, endedAt: new Date().toISOString() } };
      }
      changes.emit(id);
    },
    async create(wish, caller) {
      // As one that makes it durable first.
      await Promise.resolve();
      if (desk.refuse !== null) throw desk.refuse;
      const asker = askerText(caller);
      const known = [...handoffs.values()].find(({ view }) => view.asker === asker && view.key === wish.key);
      if (known !== undefined) {
        if (JSON.stringify(known.wish) === JSON.stringify(wish)) return { view: known.view, isNew: false };
        throw new FederationError('HANDOFF_CONFLICT', 'the key stands for something else');
      }
      last = String(handoffs.size + 1).padStart(26, '0');
      const createdAt = new Date(1_795_000_000_000 + handoffs.size * 1000).toISOString();
      const view: HandoffView = {
        ...{ id: last, key: wish.key, state: 'waiting', target: wish.target, node: null, agent: null, asker },
        ...{ task: wish.task, attempt: 1, position: null, seq: 0, cancelling: false, parent: null, createdAt },
        ...{ startedAt: null, endedAt: null, deadline: wish.deadline, text: null, problem: null, usage: null },
        artefacts: [],
      };
      handoffs.set(last, { wish, view, events: [] });
      desk.wishes.push(wish);
      return { view, isNew: true };
    },
    list: () => [],
    heads: () => [...handoffs.values()].toReversed().map(({ view }) => view),
    get: async (id) => kept(id).view,
    follow: async (id, after, _, signal) => {
      kept(id);
      return follow(id, after, signal);
    },
    async cancel(id) {
      const handoff = kept(id);
      desk.cancelled.push(id);
      handoff.view = { ...handoff.view, cancelling: true };
      return handoff.view;
    },
    async artefact(id, name) {
      const artefact = kept(id).view.artefacts.find((one) => one.name === name);
      if (artefact === undefined) throw new FederationError('PATH_NOT_FOUND', `there is no file ${name}`);
      return {
        artefact,
        bytes: (async function* () {
          yield Buffer.from(name);
        })(),
      };
    },
    send: () => Promise.reject(new Error('not over A2A')),
    message: () => Promise.reject(new Error('not over A2A')),
    agents: () => desk.offered,
  };
  return desk;
}

/** A file whose content is its name. */
export function fileNamed(name: string): HandoffDeed {
  const sha256 = createHash('sha256').update(name).digest('hex');
  return { type: 'artefact', name, size: Buffer.byteLength(name), sha256 };
}
