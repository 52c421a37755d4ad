import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { forgettable } from '#src/core/handoff/forget.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { isOver } from '#src/core/handoff/state.ts';
import type { Member } from '#src/core/member.ts';
import { askerText } from '#src/core/policy.ts';
import type { Settings } from '#src/core/settings.ts';
import type { Permits } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { fetchArtefact } from '#src/hub/handoffs/artefacts.ts';
import type { AskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import { openBook } from '#src/hub/handoffs/book.ts';
import { createCarriers } from '#src/hub/handoffs/carriers.ts';
import { createCreate } from '#src/hub/handoffs/create.ts';
import type { HandoffCaller, HandoffDesk } from '#src/hub/handoffs/desk.ts';
import { createDispatch } from '#src/hub/handoffs/dispatch.ts';
import { createEndings } from '#src/hub/handoffs/endings.ts';
import { createFollowers } from '#src/hub/handoffs/follow.ts';
import { countLoad } from '#src/hub/handoffs/load.ts';
import { openMessages } from '#src/hub/handoffs/messages.ts';
import type { HandoffMetrics } from '#src/hub/handoffs/metrics.ts';
import { createHandoffMetrics } from '#src/hub/handoffs/metrics.ts';
import type { MirrorFiles } from '#src/hub/handoffs/mirror.ts';
import { createMirror } from '#src/hub/handoffs/mirror.ts';
import { createAgentNodes, explainMaster } from '#src/hub/handoffs/nodes.ts';
import type { OfferedAgents } from '#src/hub/handoffs/offered.ts';
import { createOfferedAgents } from '#src/hub/handoffs/offered.ts';
import { createOnward } from '#src/hub/handoffs/onward.ts';
import { tellWhatIsOver } from '#src/hub/handoffs/owed.ts';
import { createUnwanted } from '#src/hub/handoffs/unwanted.ts';
import { handoffHead, handoffListed } from '#src/hub/handoffs/view.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { AgentView, HandoffListed, HandoffView } from '#src/protocol/handoffs.ts';

/** Work that is given to agents of other machines. */
export interface Handoffs {
  readonly desk: HandoffDesk;
  readonly offered: OfferedAgents;
  readonly metrics: HandoffMetrics;
  /** Ends all that are not over. */
  endAll(why: string, by: string): Promise<void>;
  /** Goes on with none of them; a next hub does. To be called once the signal is aborted. */
  close(): Promise<void>;
}

export interface HandoffsOptions {
  readonly settings: Settings;
  readonly store: Store;
  readonly files: MirrorFiles;
  readonly members: () => ReadonlyMap<string, Member>;
  /** Says which member came, changed or went. */
  readonly onMember: (listener: (nodeId: string) => void) => void;
  readonly fleet: Fleet;
  readonly permits: Permits;
  /** Why nothing may be done now; null where it may. */
  readonly denied: () => string | null;
  readonly keys: AskerKeys;
  readonly calls: WorkerCalls;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** See CarryOptions. */
  readonly lostMs?: number;
}

const LOST_MS = 60_000;
/** Over and kept at most. */
const MAX_KEPT = 10_000;
const SWEEP_MS = 60_000;

export async function openHandoffs(options: HandoffsOptions): Promise<Handoffs> {
  const { settings, store, files, members, onMember, fleet, permits, denied, keys, calls, log, signal } = options;
  // One for each handoff that is carried, and for each follower.
  setMaxListeners(0, signal);
  const onFault = (error: unknown): void => log.error('something failed', { problem: String(error) });
  const offered = createOfferedAgents({ fleet });
  const nodes = createAgentNodes(members, fleet, offered);
  const book = await openBook(store);
  const mirror = createMirror(files, onFault);
  const unwanted = createUnwanted({ book, denied, keys, onFault, signal });
  const endings = createEndings(book, (id) => mirror.hold(id));
  const carriers = createCarriers({
    ...{ book, mirror, nodes, fleet, endings, calls, log, signal },
    // Who offers agents may be the one where something is begun anew.
    onMember(listener) {
      onMember(listener);
      offered.changes.on('offer', listener);
    },
    ...{ lostMs: options.lostMs ?? LOST_MS, maxBytes: 2 * settings.handoffs.keepMaxBytes },
    dispatch: () => dispatch,
    onNews: (id) => followers.tell(id),
  });
  const dispatch = createDispatch({
    ...{ book, nodes, endings, denied: unwanted.denied, log, signal },
    carry: (id) => carriers.carry(id, true),
  });
  const onward = createOnward(book, nodes, settings.hub.onward, signal);
  const create = createCreate({ book, nodes, permits, onward });
  const followers = createFollowers({
    ...{ book, mirror, view },
    onLeft(id) {
      const record = book.get(id);
      if (record?.cancelOnDisconnect !== true || isOver(record.state) || signal.aborted) return;
      unwanted.cancel(id, 'nobody follows it any more', askerText(record.asker)).catch(onFault);
    },
  });
  const messages = await openMessages({
    ...{ store, nodes, fleet, offered, permits, keys, calls, log, signal },
    load: () => countLoad(book.live()).of,
  });
  tellWhatIsOver(book, nodes, fleet, calls, log, signal);

  function positionOf(record: HandoffRecord): number | null {
    if (record.state !== 'waiting') return carriers.position(record.id);
    let place = 1;
    for (const { id, state } of book.live()) {
      if (id === record.id) return place;
      if (state === 'waiting') place += 1;
    }
    return place;
  }

  async function view(record: HandoffRecord): Promise<HandoffView> {
    const text = isOver(record.state) ? ((await book.end(record.id))?.text ?? '') : null;
    return { ...listed(record), text };
  }

  function listed(record: HandoffRecord): HandoffListed {
    const seq = isOver(record.state) ? record.seq : Math.max(record.base, carriers.seq(record.id));
    return handoffListed(record, { seq, position: positionOf(record) });
  }

  function seenBy(caller: HandoffCaller): readonly HandoffRecord[] {
    return [...book.all()].filter((record) => {
      try {
        return onward.visible(record, caller) === record;
      } catch {
        return false;
      }
    });
  }

  fleet.changes.on('up', () => dispatch.stir());
  offered.changes.on('offer', (nodeId) => dispatch.freed(nodeId));
  onMember(() => dispatch.stir());
  book.changes.on('handoff', (now, before) => {
    if (!isOver(now.state) || before === null || isOver(before.state)) return;
    if (now.node !== null) dispatch.freed(now.node.id);
  });
  for (const record of book.live()) {
    if (record.state !== 'waiting') carriers.carry(record.id, false);
  }
  // What a node is still to be told is kept, but not for one that is gone for good.
  const isDone = ({ state, owed }: HandoffRecord): boolean =>
    isOver(state) && owed.every((id) => nodes.member(id) === undefined);
  const sweeping = sweep(
    { book, isDone, remove: mirror.remove, keepDays: settings.handoffs.keepDays, onFault },
    signal,
  );

  const desk: HandoffDesk = {
    async create(wish, caller, parent) {
      const creating = () => create(wish, caller, parent ?? null);
      const { view: record, isNew } = await explainMaster(members(), wish.target, creating);
      return { view: await view(record), isNew };
    },
    list: (limit, caller) => seenBy(caller).slice(-limit).toReversed().map(listed),
    heads: (caller) => seenBy(caller).toReversed().map(handoffHead),
    get: async (id, caller) => view(onward.visible(book.get(id), caller)),
    async follow(id, after, caller, until) {
      onward.visible(book.get(id), caller);
      return followers.follow(id, after, AbortSignal.any([until, signal]));
    },
    async cancel(id, caller) {
      onward.visible(book.get(id), caller);
      return view(await unwanted.cancel(id, `${askerText(caller)} asked for its end`, askerText(caller)));
    },
    artefact: async (id, name, caller, until) =>
      fetchArtefact(onward.visible(book.get(id), caller), name, nodes, calls, until),
    send: (wish, caller) => explainMaster(members(), wish.target, () => messages.send(wish, caller)),
    message: async (id) => messages.get(id),
    agents() {
      const { of } = countLoad(book.live());
      return nodes.list().flatMap(({ id: nodeId, name, agents, isOnline }): AgentView[] =>
        isOnline
          ? (agents ?? []).map((agent) => ({
              ...{ node: name, nodeId, id: agent.id, description: agent.description, tags: [...agent.tags] },
              ...{ concurrency: agent.concurrency, ...of(nodeId, agent.id) },
            }))
          : [],
      );
    },
  };

  return {
    desk,
    offered,
    metrics: createHandoffMetrics(book),
    endAll: unwanted.endAll,
    async close() {
      await Promise.all([dispatch.done, carriers.done(), messages.close(), sweeping]);
      await mirror.close();
    },
  };
}

interface Sweep {
  readonly book: Book;
  readonly isDone: (record: HandoffRecord) => boolean;
  readonly remove: (id: string) => Promise<void>;
  readonly keepDays: number;
  readonly onFault: (error: unknown) => void;
}

/** Forgets what has been over for long, until the signal. */
async function sweep({ book, isDone, remove, keepDays, onFault }: Sweep, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const over = [...book.all()].filter(isDone);
    const since = Date.now() - keepDays * 86_400_000;
    const ids = forgettable(over, { since, most: MAX_KEPT }).map(({ id }) => id);
    if (ids.length > 0) {
      await book
        .forget(ids)
        .then(() => Promise.all(ids.map(remove)))
        .catch(onFault);
    }
    await pause(SWEEP_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
