import { createHash } from 'node:crypto';
import type { HandoffAction } from '#src/core/action.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord, HandoffWork } from '#src/core/handoff/record.ts';
import { keyOwner } from '#src/core/handoff/record.ts';
import type { AgentPlace, Meant } from '#src/core/handoff/resolve.ts';
import { leastLoaded, resolveTarget } from '#src/core/handoff/resolve.ts';
import { consent } from '#src/core/policy.ts';
import type { Permit, Permits } from '#src/hub/approvals/permits.ts';
import { askedFor } from '#src/hub/handoffs/accounts.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { Created, HandoffCaller, HandoffWish } from '#src/hub/handoffs/desk.ts';
import { countLoad } from '#src/hub/handoffs/load.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import type { Onward } from '#src/hub/handoffs/onward.ts';
import { takesParts } from '#src/hub/handoffs/onward.ts';
import { createId } from '#src/hub/jobs/job-id.ts';

export interface CreateOptions {
  readonly book: Book;
  readonly nodes: AgentNodes;
  readonly permits: Pick<Permits, 'permit'>;
  readonly onward: Onward;
}

/** Handoffs that wait for a node, over all and of one asker. */
const MAX_WAITING = 1000;
const MAX_WAITING_OF_ONE = 100;
/** Parts of one handoff that are under way: a node that has turned could keep all agents busy with one. */
const MAX_PARTS = 16;
const TASK_SHOWN = 200;
/** What a timer takes, and a node's order: 24 days. */
const MAX_LEFT_MS = 24 * 86_400_000;

export type CreateHandoff = (
  wish: HandoffWish,
  caller: HandoffCaller,
  parent: string | null,
) => Promise<Created<HandoffRecord>>;

export function createCreate({ book, nodes, permits, onward }: CreateOptions): CreateHandoff {
  /** On their way to the store: they count, too, where many come at once. */
  const arriving = new Set<HandoffRecord>();

  function refuseFull(owner: string, parent: string | null): void {
    const isPart = (record: HandoffRecord): boolean => parent !== null && record.parent === parent;
    const arrivingParts = [...arriving].filter((record) => isPart(record) && book.get(record.id) === undefined);
    if ([...book.live()].filter(isPart).length + arrivingParts.length >= MAX_PARTS) {
      throw new FederationError('QUEUE_FULL', `${MAX_PARTS} parts of this handoff are under way already`, {
        hint: 'wait for some of them',
        retryAfterMs: 5000,
      });
    }
    const written = [...book.live()].filter(({ state }) => state === 'waiting');
    const waiting = [...written, ...[...arriving].filter(({ id }) => book.get(id) === undefined)];
    const own = waiting.filter((record) => keyOwner(record.asker, record.parent) === owner).length;
    if (waiting.length < MAX_WAITING && own < MAX_WAITING_OF_ONE) return;
    const whose = own >= MAX_WAITING_OF_ONE ? `${own} handoffs of yours` : `${waiting.length} handoffs`;
    throw new FederationError('QUEUE_FULL', `${whose} wait for a node already`, {
      hint: 'wait for some of them, or cancel them: manage-federation handoff list',
      retryAfterMs: 5000,
    });
  }

  /** Judges it for the place that it would have now; what else it may go to is judged when it goes there. */
  function permitFor(draft: HandoffRecord, meant: Meant, action: HandoffAction, approval: string | undefined): Permit {
    const places = candidates(draft, meant, approval);
    let refused: FederationError | null = null;
    for (const { node, agent } of places) {
      const member = nodes.member(node.id);
      if (member === undefined || nodes.wasAt(draft.path, member.id)) continue;
      if (draft.parent !== null && !takesParts(member)) {
        refused ??= unasked();
        continue;
      }
      try {
        return permits.permit({ ...{ asker: draft.asker, approval }, action: { ...action, agent }, members: [member] });
      } catch (error) {
        if (!(error instanceof FederationError) || error.code === 'LOCKED_DOWN') throw error;
        refused ??= draft.parent === null || error.code !== 'APPROVAL_NEEDED' ? error : unasked();
      }
    }
    throw refused ?? onward.loop();
  }

  /** With an approval any of them may be the one that it is for; without one those come first that need none. */
  function candidates(
    { asker, parent }: HandoffRecord,
    { node, agent, places }: Meant,
    approval: string | undefined,
  ): readonly { readonly node: { readonly id: string }; readonly agent: string }[] {
    if (node !== null && places.length === 0) return [{ node, agent: agent ?? '' }];
    const free = places.filter((place) => {
      const member = nodes.member(place.node.id);
      if (member === undefined || (parent !== null && !takesParts(member))) return false;
      return consent(asker, member.role).kind === 'allow';
    });
    const { of } = countLoad(book.live());
    const loadAt = (place: AgentPlace): number => {
      const { running, waiting } = of(place.node.id, place.agent.id);
      return running + waiting;
    };
    const best = leastLoaded(free.length > 0 ? free : places, loadAt);
    const sorted = best === undefined ? places : [best, ...places.filter((place) => place !== best)];
    const meant = approval === undefined ? sorted.slice(0, 1) : sorted;
    return meant.map((place) => ({ node: place.node, agent: place.agent.id }));
  }

  return async (wish, caller, parent) => {
    const above = parent === null ? null : await onward.parentOf(parent, caller);
    const asker = above?.asker ?? onward.ownAsker(caller);
    const owner = keyOwner(asker, parent);
    const work: HandoffWork = { task: wish.task, context: wish.context, files: wish.files };
    const payload = payloadOf(wish);
    const known = book.ofKey(owner, wish.key);
    if (known !== undefined) {
      const before = await known;
      if (before.payload === payload) return { view: before, isNew: false };
      throw new FederationError('HANDOFF_CONFLICT', 'this key stands for another handoff', {
        hint: `choose another key; this one stands for: manage-federation handoff show ${before.id}`,
      });
    }
    const now = Date.now();
    const deadline = onward.deadlineOf(wish.deadline === null ? null : Date.parse(wish.deadline), above);
    if (deadline !== null && deadline <= now) {
      throw new FederationError('DEADLINE_OVER', 'the deadline is over already', { hint: 'give it more time' });
    }
    if (deadline !== null && deadline - now > MAX_LEFT_MS) {
      throw new FederationError('USAGE', 'the deadline is more than 24 days away', {
        hint: 'set a nearer one, or none',
      });
    }
    refuseFull(owner, above?.id ?? null);
    const meant = resolveTarget(nodes.list(), wish.target);
    const draft: HandoffRecord = {
      ...{ id: createId(), key: wish.key, payload, asker, target: wish.target, task: beginningOf(wish.task) },
      ...{ state: 'waiting', cancelling: null, node: null, agent: null, attempt: 0, base: 0, tried: [], owed: [] },
      ...{ parent, parentAttempt: above?.attempt ?? null, hops: above === null ? 0 : above.hops + 1 },
      ...{ path: onward.pathBelow(above), approval: null },
      ...{ createdAt: now, startedAt: null, endedAt: null, deadline, queueUntil: now + wish.queueTimeoutMs },
      ...{ idleTimeoutMs: wish.idleTimeoutMs, rerunnable: wish.rerunnable },
      ...{ cancelOnDisconnect: wish.cancelOnDisconnect, seq: 0, problem: null, usage: null, artefacts: [] },
    };
    onward.refuseLoop(draft, meant);
    const action: HandoffAction = { kind: 'handoff', agent: '', ...shown(work) };
    const permit = permitFor(draft, meant, action, wish.approval);
    const used = nodes.list().flatMap(({ member }) => permit.approvalFor(member) ?? [])[0];
    const record = { ...draft, approval: used ?? null };
    arriving.add(record);
    try {
      await book.add(record, work, [askedFor(record, action)]);
    } finally {
      arriving.delete(record);
    }
    return { view: record, isNew: true };
  };
}

/** Nobody is there whom the agent of another machine could ask. */
function unasked(): FederationError {
  return new FederationError('FORBIDDEN', 'the owner would have to allow it there, and can’t be asked for an agent', {
    hint: 'hand it to an agent on a worker',
  });
}

/** What the key stands for: what is to be done, and whether more than once; not how long it may take. */
function payloadOf({ target, task, context, files, rerunnable }: HandoffWish): string {
  const parts = [target, rerunnable, task, context, files.map(({ name, content }) => [name, sha256(content)])];
  return sha256(JSON.stringify(parts));
}

function shown({ task, context, files }: HandoffWork): Pick<HandoffAction, 'task' | 'context' | 'files'> {
  const hashed = files.map(({ name, content }) => {
    const bytes = Buffer.from(content, 'base64');
    return { name, size: bytes.length, sha256: sha256(bytes) };
  });
  return { task, context, files: hashed };
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** In one line. */
function beginningOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= TASK_SHOWN ? line : `${line.slice(0, TASK_SHOWN).toWellFormed()}…`;
}
