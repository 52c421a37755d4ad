import { setTimeout as pause } from 'node:timers/promises';
import { FederationError } from '#src/core/errors.ts';
import type { EndedDeed } from '#src/core/handoff/event.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { hubsEnd, putBack, restarted, startBy, started } from '#src/core/handoff/record.ts';
import { lost } from '#src/hub/fleet/ask-worker.ts';
import { takenBack } from '#src/hub/handoffs/accounts.ts';
import type { Bell } from '#src/hub/handoffs/bell.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { Dispatch } from '#src/hub/handoffs/dispatch.ts';
import type { Endings } from '#src/hub/handoffs/endings.ts';
import type { Hearing } from '#src/hub/handoffs/hearing.ts';
import { BrokenOrder, openHearing } from '#src/hub/handoffs/hearing.ts';
import type { Mirrored } from '#src/hub/handoffs/mirror.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import { orderOf } from '#src/hub/handoffs/order.ts';
import { isOfStore, refusalOf } from '#src/hub/handoffs/refusal.ts';
import { sayRestarted } from '#src/hub/handoffs/restart-line.ts';
import { createWantedEnd } from '#src/hub/handoffs/wanted-end.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Link } from '#src/link/accept.ts';

export interface CarryOptions {
  readonly book: Book;
  readonly nodes: AgentNodes;
  readonly endings: Endings;
  readonly dispatch: Pick<Dispatch, 'refused' | 'taken' | 'hasOther'>;
  readonly calls: WorkerCalls;
  readonly maxBytes: number;
  /** Something of it is to be seen: an event, or its place in the node's queue. */
  readonly onNews: (id: string, seq: number, position: number | null) => void;
  /** From the loss of its link on, until it may be begun anew, or nobody waits for the end that was asked for. */
  readonly lostMs: number;
  readonly signal: AbortSignal;
}

/** A node may be so late with the end that its own clock brings. */
const GRACE_MS = 15_000;
const RETRY_MS = [100, 500, 1000, 2000, 5000] as const;
/** Answers in a row that a node, which is there, fails to give. */
const MAX_FAILURES = 30;
const MAX_ATTEMPTS = 3;

/**
 * Sees one handoff that a node has, or may have, to its end, or back to those that wait. `isFresh`: nothing of it has
 * reached the node by any earlier hub. Rejects where the store or the disk fails.
 */
export async function carryHandoff(
  id: string,
  mirrored: Mirrored,
  bell: Bell,
  isFresh: boolean,
  options: CarryOptions,
): Promise<void> {
  const first = options.book.get(id);
  if (first === undefined || first.node === null || first.agent === null) return;
  const expected = { attempt: first.attempt, agent: first.agent };
  const { maxBytes } = options;
  const hearing = await openHearing({ mirrored, base: first.base, expected, maxBytes });
  await carrying(id, mirrored, bell, hearing, isFresh, options);
}

async function carrying(
  id: string,
  mirrored: Mirrored,
  bell: Bell,
  hearing: Hearing,
  isFresh: boolean,
  { book, nodes, endings, dispatch, calls, onNews, lostMs, signal }: CarryOptions,
): Promise<void> {
  /** Whether the node may have it. */
  let isSent = !isFresh;
  let acceptedOn: Link | null = null;
  let awaySince: number | null = null;
  let thereSince: number | null = null;
  /** Not before its node is back after a start of the hub, while which its end may have come. */
  let wasThere = isFresh;
  let faults = 0;
  let failures = 0;

  const wantedEnd = createWantedEnd(id, { book, calls, patienceMs: lostMs });
  const end = (deed: EndedDeed, isOwed: boolean): Promise<void> =>
    endings.placed(id, mirrored, { deed, artefacts: hearing.artefacts, isOwed });
  const lose = (problem: string): Promise<void> => end(hubsEnd('lost', problem), true);
  const tell = (): void => onNews(id, mirrored.seq, hearing.position);

  function limitOf(record: HandoffRecord): number {
    return hearing.isStarted ? (record.deadline ?? Infinity) : startBy(record);
  }

  /** Until when its node, which is there, may say how it ended: one that was away may have known it for long. */
  function endBy(record: HandoffRecord): number {
    return Math.max(limitOf(record), thereSince ?? 0) + GRACE_MS;
  }

  async function giveBack(problem: string | null): Promise<void> {
    await book.change(id, (record) =>
      record.state === 'placed' ? { next: putBack(record, problem), also: [takenBack(record, problem, false)] } : null,
    );
  }

  function mayRestart(record: HandoffRecord): boolean {
    const { rerunnable, cancelling, attempt } = record;
    return rerunnable && cancelling === null && attempt < MAX_ATTEMPTS && dispatch.hasOther(record);
  }

  async function restart(problem: string): Promise<void> {
    await mirrored.settled();
    const base = mirrored.seq + 1;
    const now = await book.change(id, (record) => ({
      next: restarted(record, base),
      also: [takenBack(record, problem, true)],
    }));
    sayRestarted(now, mirrored);
    onNews(id, mirrored.seq, null);
  }

  async function finish(record: HandoffRecord, deed: EndedDeed): Promise<void> {
    if (deed.outcome === 'lost' && mayRestart(record)) await restart(deed.problem ?? 'its node lost it');
    else await end(deed, false);
  }

  /** While its node is not there. Whether it goes on to be carried. */
  async function away(record: HandoffRecord, name: string): Promise<boolean> {
    if (!isSent) {
      await giveBack(`${name} went away before it got it`);
      return false;
    }
    const now = Date.now();
    awaySince ??= now;
    thereSince = null;
    const limit = limitOf(record);
    const isLong = now - awaySince >= lostMs;
    if (now >= limit && (wasThere || isLong)) {
      await lose(`its time was over while ${name} was away, where it may have run`);
      return false;
    }
    if (isLong && record.cancelling !== null) {
      await lose(`${record.cancelling}; ${name} is away, and may still work on it until it is back`);
      return false;
    }
    if (isLong && mayRestart(record)) {
      await restart(`${name} is away`);
      return false;
    }
    if (book.get(id)?.problem !== waitingFor(name)) {
      await book.change(id, (current) => ({ next: { ...current, problem: waitingFor(name) } }));
    }
    const back = awaySince + lostMs;
    await bell.wait(isLong ? limit : wasThere ? Math.min(limit, back) : back, signal);
    return true;
  }

  /** Brings it to the node, unless it is there. Whether it goes on to be carried. */
  async function bring(link: Link, record: HandoffRecord): Promise<boolean> {
    if (hearing.isStarted || acceptedOn === link) return true;
    const isLate = Date.now() >= startBy(record);
    const order = record.cancelling === null && !isLate ? await orderOf(book, record) : null;
    // Its end may have been asked for meanwhile.
    const cancelling = book.get(id)?.cancelling ?? record.cancelling;
    if (order !== null && cancelling === null) {
      isSent = true;
      const standing = await calls.order(link, order);
      if (standing.id !== id || standing.attempt !== record.attempt) throw new BrokenOrder('it took another one');
      hearing.wait(standing.position);
      dispatch.taken(record);
    } else if (!(await wantedEnd.ask(link))) {
      const deed =
        cancelling !== null
          ? hubsEnd('cancelled', cancelling)
          : hubsEnd('expired', 'its time was over before it began');
      await end(deed, false);
      return false;
    }
    acceptedOn = link;
    tell();
    return true;
  }

  /** Hears the node to the end of what it says now. Whether it goes on to be carried. */
  async function listen(link: Link, record: HandoffRecord): Promise<boolean> {
    const over = new AbortController();
    const stop = AbortSignal.any([over.signal, signal]);
    let timer: NodeJS.Timeout | undefined;
    const arm = (): void => {
      clearTimeout(timer);
      const late = endBy(record) - Date.now();
      if (late < 2 ** 31) timer = setTimeout(() => over.abort(), Math.max(0, late));
    };
    arm();
    const passing = wantedEnd.passOn(link, stop, () => over.abort());
    try {
      for await (const said of calls.events(link, id, hearing.seq, stop)) {
        const wasStarted = hearing.isStarted;
        const { isNews, end: deed } = hearing.take(said);
        failures = 0;
        if (!wasStarted && hearing.isStarted) {
          // What has begun has another limit.
          arm();
          await begun();
        }
        if (isNews) tell();
        if (deed !== null) {
          await finish(book.get(id) ?? record, deed);
          return false;
        }
      }
      // A node that is there goes on to the end; who does not is not asked anew without a pause.
      if (!stop.aborted && nodes.link(link.nodeId) === link) throw lost('it broke off what it said');
      return true;
    } finally {
      clearTimeout(timer);
      over.abort();
      await passing;
    }
  }

  async function begun(): Promise<void> {
    await book.change(id, (record) =>
      record.state === 'placed' ? { next: { ...started(record, Date.now()), problem: null } } : null,
    );
  }

  /** While its node is there. Whether it goes on to be carried. */
  async function there(link: Link, record: HandoffRecord): Promise<boolean> {
    awaySince = null;
    thereSince ??= Date.now();
    wasThere = true;
    if (record.problem !== null) await book.change(id, (current) => ({ next: { ...current, problem: null } }));
    if (Date.now() >= endBy(record)) {
      await wantedEnd.ask(link).catch(() => false);
      await lose('its time was over, and its node does not say how it ended');
      return false;
    }
    if (wantedEnd.isIgnored()) {
      await lose(`${record.cancelling}; its node does not end it, and may still work on it`);
      return false;
    }
    return (await bring(link, record)) && (await listen(link, record));
  }

  /** Whether it goes on to be carried, after what went wrong. */
  async function failed(error: unknown, link: Link, record: HandoffRecord, name: string): Promise<boolean> {
    if (error instanceof BrokenOrder) {
      faults += 1;
      if (faults < 2) return true;
      await lose(`${name} is not to be understood: ${error.message}`);
      return false;
    }
    if (!(error instanceof FederationError) || isOfStore(error)) throw error;
    const { code, message } = error;
    const isOpen = !hearing.isStarted && acceptedOn !== link;
    const refusal = isOpen ? refusalOf(error) : null;
    if (refusal !== null) {
      dispatch.refused(record, `${name}: ${message}`, refusal === 'never');
      await giveBack(`${name}: ${message}`);
      return false;
    }
    if (isOpen && code === 'DEADLINE_OVER') {
      await end(hubsEnd('expired', message), false);
      return false;
    }
    if (isOpen && code === 'HANDOFF_CONFLICT') {
      await lose(`${name}: ${message}`);
      return false;
    }
    if (code === 'HANDOFF_NOT_FOUND' && hearing.isStarted) {
      await end(hubsEnd('lost', `${name} knows nothing of it any more`), false);
      return false;
    }
    // It proves that it did not begin there: it is brought there once more.
    if (code === 'HANDOFF_NOT_FOUND') acceptedOn = null;
    failures += 1;
    if (failures > MAX_FAILURES) {
      await lose(`${name} does not answer for it: ${message}`);
      return false;
    }
    await pause(RETRY_MS[Math.min(failures, RETRY_MS.length) - 1], undefined, { signal }).catch(() => undefined);
    return true;
  }

  async function step(record: HandoffRecord): Promise<boolean> {
    const node = record.node!;
    if (nodes.member(node.id) === undefined) {
      if (isSent) await end(hubsEnd('lost', `${node.name} is no member any more`), false);
      else await giveBack(`${node.name} is no member any more`);
      return false;
    }
    const link = nodes.link(node.id);
    if (link === undefined) return away(record, node.name);
    try {
      return await there(link, record);
    } catch (error) {
      return await failed(error, link, record, node.name);
    }
  }

  // What a hub before this one heard, and did not note.
  if (hearing.isStarted) await begun();
  tell();
  let goesOn = true;
  while (goesOn && !signal.aborted) {
    const record = book.get(id);
    if (record?.state !== 'placed' && record?.state !== 'started') return;
    goesOn = await step(record);
  }
}

function waitingFor(name: string): string {
  return `${name} is away: it is asked as soon as it is back`;
}
