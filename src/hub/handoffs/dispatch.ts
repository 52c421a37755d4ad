import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { mayReach } from '#src/core/handoff/reach.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { placed, startBy } from '#src/core/handoff/record.ts';
import type { AgentPlace, Meant } from '#src/core/handoff/resolve.ts';
import { leastLoaded, resolveTarget } from '#src/core/handoff/resolve.ts';
import type { Member } from '#src/core/member.ts';
import type { Asker } from '#src/core/policy.ts';
import { consent } from '#src/core/policy.ts';
import { givenTo } from '#src/hub/handoffs/accounts.ts';
import { createBell } from '#src/hub/handoffs/bell.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { Endings } from '#src/hub/handoffs/endings.ts';
import { countLoad } from '#src/hub/handoffs/load.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import { takesParts } from '#src/hub/handoffs/onward.ts';
import { createRoom } from '#src/hub/handoffs/room.ts';

/** Gives what waits to nodes, in the order in which it was asked for. */
export interface Dispatch {
  /** Something changed by which one that waits may find its place, or its end. */
  stir(): void;
  /** Why a node did not take it. For a while, or for this handoff for good. */
  refused(record: HandoffRecord, problem: string, isForGood: boolean): void;
  /** Its node took it. */
  taken(record: HandoffRecord): void;
  /** The node has room again. */
  freed(nodeId: string): void;
  /** Whether another node than those that had it would take it now. */
  hasOther(record: HandoffRecord): boolean;
  readonly done: Promise<void>;
}

export interface DispatchOptions {
  readonly book: Book;
  readonly nodes: AgentNodes;
  readonly endings: Endings;
  /** Takes one that is placed, durably. */
  readonly carry: (id: string) => void;
  /** Why nothing is begun for that asker now; null where it is. */
  readonly denied: (asker: Asker) => string | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Where the store took nothing. */
const RETRY_MS = 1000;
/** Between two looks where nothing happens: a node's first word on its agents may be over meanwhile. */
const LOOK_MS = 5000;

export function createDispatch({ book, nodes, endings, carry, denied, log, signal }: DispatchOptions): Dispatch {
  const bell = createBell();
  const room = createRoom();
  /** By handoff: the nodes that refused it for good, and the last one's words. */
  const refusals = new Map<string, { readonly nodes: Set<string>; problem: string }>();
  const busy = new Set<string>();

  function mayGoTo({ asker, approval, path }: HandoffRecord, member: Member): boolean {
    if (nodes.wasAt(path, member.id) || (path.length > 0 && !takesParts(member))) return false;
    if (approval !== null) return approval.node === member.id;
    return consent(asker, member.role).kind === 'allow';
  }

  function fits(record: HandoffRecord, { node, agent }: AgentPlace): boolean {
    const member = nodes.member(node.id);
    const hadIt = nodes.wasAt(record.tried, node.id) || refusals.get(record.id)?.nodes.has(node.id) === true;
    if (member === undefined || hadIt || !mayGoTo(record, member)) return false;
    return mayReach(record.asker, { node: member.name, role: member.role, agent: agent.id });
  }

  function meant(target: string, cache: Map<string, Meant | FederationError>): Meant | FederationError {
    const known = cache.get(target);
    if (known !== undefined) return known;
    const now = meaning(target);
    cache.set(target, now);
    return now;
  }

  function meaning(target: string): Meant | FederationError {
    try {
      return resolveTarget(nodes.list(), target);
    } catch (error) {
      if (error instanceof FederationError) return error;
      throw error;
    }
  }

  async function give(record: HandoffRecord, place: AgentPlace, others: readonly string[]): Promise<void> {
    const { id, name } = place.node;
    const now = await book.change(record.id, (current) => {
      if (current.state !== 'waiting' || current.cancelling !== null) return null;
      const next = placed(current, { id, name }, place.agent.id);
      return { next, also: [givenTo(next, others)] };
    });
    if (now.state === 'placed') carry(record.id);
  }

  /** The end of one that waits; null where it goes on waiting. */
  function endOf(record: HandoffRecord, now: number): Promise<void> | null {
    if (record.cancelling !== null) return endings.unplaced(record, 'cancelled', record.cancelling);
    if (now >= startBy(record)) {
      const why = record.problem === null ? '' : `; at last: ${record.problem}`;
      return endings.unplaced(record, 'expired', `no node had taken it in time${why}`);
    }
    return null;
  }

  function next(
    record: HandoffRecord,
    now: number,
    load: ReturnType<typeof countLoad>,
    cache: Map<string, Meant | FederationError>,
  ): Promise<void> | null {
    const end = endOf(record, now);
    if (end !== null || denied(record.asker) !== null) return end;
    const found = meant(record.target, cache);
    if (found instanceof FederationError) return null;
    const fitting = found.places.filter((place) => fits(record, place));
    const refusal = refusals.get(record.id);
    if (refusal !== undefined && fitting.length === 0) return endings.unplaced(record, 'failed', refusal.problem);
    const open = fitting.filter((one) => room.isOpen(one, now));
    const loadAt = ({ node, agent }: AgentPlace): number => {
      const { running, waiting } = load.of(node.id, agent.id);
      return running + waiting;
    };
    const place = leastLoaded(open, loadAt);
    if (place === undefined) return null;
    load.add(place);
    room.given(place, now);
    const others = fitting.filter((one) => one !== place).map(({ node, agent }) => `${node.name}/${agent.id}`);
    return give(record, place, others.slice(0, 100));
  }

  /** What is wrong with one keeps no other from its place. */
  function begin(...one: Parameters<typeof next>): Promise<void> | null {
    try {
      return next(...one);
    } catch (error) {
      const fail = async (): Promise<never> => {
        throw error;
      };
      return fail();
    }
  }

  /** Nothing else is begun with it meanwhile; what failed is not begun anew at once. */
  async function settle(id: string, step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      log.error('a handoff could not go on', { id, problem: String(error) });
      await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
    busy.delete(id);
    bell.ring();
  }

  /** Returns when the next look is due. */
  function look(): number {
    const now = Date.now();
    const cache = new Map<string, Meant | FederationError>();
    let load: ReturnType<typeof countLoad> | null = null;
    let due = Infinity;
    for (const record of [...book.live()]) {
      if (record.state !== 'waiting') continue;
      if (busy.has(record.id)) continue;
      due = Math.min(due, startBy(record), now + LOOK_MS);
      load ??= countLoad(book.live());
      const step = begin(record, now, load, cache);
      if (step === null) continue;
      busy.add(record.id);
      void settle(record.id, step);
    }
    return Math.min(due, room.due(now));
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await bell.wait(look(), signal);
      } catch (error) {
        log.error('what waits could not be looked at', { problem: String(error) });
        await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  book.changes.on('handoff', ({ id, state }) => {
    if (state === 'waiting') bell.ring();
    else if (state !== 'placed') refusals.delete(id);
  });

  return {
    stir: () => bell.ring(),
    refused({ id, node, agent }, problem, isForGood) {
      if (node === null || agent === null) return;
      if (isForGood) {
        const known = refusals.get(id) ?? { nodes: new Set(), problem };
        known.nodes.add(node.id);
        known.problem = problem;
        refusals.set(id, known);
      } else room.refused(node.id, agent, Date.now());
      bell.ring();
    },
    taken({ node, agent }) {
      if (node !== null && agent !== null) room.taken(node.id, agent);
      bell.ring();
    },
    freed(nodeId) {
      room.freed(nodeId);
      bell.ring();
    },
    hasOther(record) {
      const found = meaning(record.target);
      if (found instanceof FederationError || found.node !== null) return false;
      const own = record.node === null ? [] : [record.node.id];
      return found.places.some((place) => !nodes.wasAt(own, place.node.id) && fits(record, place));
    },
    done: run(),
  };
}
