import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '#src/adapters/log.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { MessageRecord } from '#src/core/handoff/message.ts';
import { leastLoaded, resolveTarget } from '#src/core/handoff/resolve.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerForNodes, askerText } from '#src/core/policy.ts';
import { actionDetail, askerDetail } from '#src/hub/approvals/action-detail.ts';
import type { Permits } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { AskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import type { Created, MessageWish } from '#src/hub/handoffs/desk.ts';
import type { LoadOf } from '#src/hub/handoffs/load.ts';
import { openMessageBook } from '#src/hub/handoffs/message-book.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import type { OfferedAgents } from '#src/hub/handoffs/offered.ts';
import { refusalOf } from '#src/hub/handoffs/refusal.ts';
import { iso } from '#src/hub/handoffs/view.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import { createId } from '#src/hub/jobs/job-id.ts';
import type { MessageView } from '#src/protocol/handoffs.ts';

/** Messages to agents: kept until their node has them, each delivered once, those of one node in their order. */
export interface Messages {
  /** Resolves when it is durable. Throws as `HandoffDesk.send`. */
  send(wish: MessageWish, asker: Asker): Promise<Created<MessageView>>;
  /** Throws HANDOFF_NOT_FOUND. */
  get(id: string): MessageView;
  close(): Promise<void>;
}

export interface MessagesOptions {
  readonly store: Pick<Store, 'messages' | 'commit'>;
  readonly nodes: AgentNodes;
  readonly fleet: Pick<Fleet, 'changes'>;
  readonly offered: Pick<OfferedAgents, 'changes'>;
  readonly permits: Pick<Permits, 'permit'>;
  readonly keys: AskerKeys;
  readonly calls: Pick<WorkerCalls, 'deliver'>;
  readonly load: () => LoadOf;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** That wait for one node. */
const MAX_WAITING = 1000;
const MAX_KEPT = 10_000;
const KEPT_MS = 7 * 86_400_000;
const RETRY_MS = 2000;

export async function openMessages(options: MessagesOptions): Promise<Messages> {
  const { store, nodes, fleet, offered, permits, keys, calls, load, log, signal } = options;
  const book = await openMessageBook(store);
  const delivering = new Map<string, Promise<void>>();
  /** What a node is told at this moment, and may have already; and what is refused. */
  const underWay = new Set<string>();

  const waitingFor = (nodeId: string): MessageRecord[] =>
    book.waiting().filter(({ id, node }) => nodes.member(node.id)?.id === nodeId && !underWay.has(id));

  /** Whether the next may follow. */
  async function deliver(record: MessageRecord): Promise<boolean> {
    const why = keys.refusal(record.asker);
    if (why !== null) {
      await book.end(record, { state: 'refused', agent: record.agent, problem: why });
      return true;
    }
    const link = nodes.link(record.node.id);
    if (link === undefined) return false;
    const { id, agent, approval, text: message } = record;
    const asker = askerForNodes(record.asker);
    try {
      const said = await calls.deliver(link, { id, agent, asker, message, ...(approval === null ? {} : { approval }) });
      await book.end(record, { state: 'delivered', agent: said.agent, problem: null });
      return true;
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      const problem = `${record.node.name}: ${error.message}`;
      // Nor does it say anything else another time where it knows another message by that id.
      if (refusalOf(error) === 'never' || error.code === 'HANDOFF_CONFLICT') {
        await book.end(record, { state: 'refused', agent, problem });
        return true;
      }
      book.note(record, problem);
      return false;
    }
  }

  async function deliverAll(nodeId: string): Promise<void> {
    while (!signal.aborted) {
      // In order for each agent, and none waits for another's.
      const away = new Set<string | null>();
      for (;;) {
        const next = waitingFor(nodeId).find(({ agent }) => !away.has(agent));
        if (next === undefined || signal.aborted) break;
        underWay.add(next.id);
        const isDone = await deliver(next).finally(() => underWay.delete(next.id));
        if (!isDone) away.add(next.agent);
        if (nodes.link(nodeId) === undefined) return;
      }
      if (away.size === 0) return;
      await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  function deliverSoon(nodeId: string): void {
    if (delivering.has(nodeId) || signal.aborted || waitingFor(nodeId).length === 0) return;
    if (nodes.link(nodeId) === undefined) return;
    const work = deliverAll(nodeId)
      .catch(async (error: unknown) => {
        log.error('a message could not be delivered', { node: nodeId, problem: String(error) });
        await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      })
      .finally(() => {
        delivering.delete(nodeId);
        // What came in its last moment.
        deliverSoon(nodeId);
      });
    delivering.set(nodeId, work);
  }

  /** Why it is not told, also once its node is there; null where it is. */
  function whyNever({ asker, node, createdAt }: MessageRecord): string | null {
    if (nodes.member(node.id) === undefined) return 'its node is no member any more';
    if (createdAt <= Date.now() - KEPT_MS) return 'its node was away too long';
    return keys.refusal(asker);
  }

  async function refuseWaiting(): Promise<void> {
    for (const record of book.waiting()) {
      const why = whyNever(record);
      const isStill = book.get(record.id)?.state === 'waiting' && !underWay.has(record.id);
      if (why === null || !isStill) continue;
      underWay.add(record.id);
      const end = { state: 'refused', agent: record.agent, problem: why } as const;
      await book.end(record, end).finally(() => underWay.delete(record.id));
    }
  }

  const onFault = (error: unknown): void => {
    log.error('old messages could not be forgotten', { problem: String(error) });
  };

  async function sweep(): Promise<void> {
    while (!signal.aborted) {
      await refuseWaiting()
        .then(() => book.forgetOver(Date.now() - KEPT_MS, MAX_KEPT))
        .catch(onFault);
      await pause(60_000, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  fleet.changes.on('up', ({ nodeId }) => deliverSoon(nodeId));
  offered.changes.on('offer', deliverSoon);
  keys.onRevoked(() => void refuseWaiting().catch(onFault));
  const sweeping = sweep();

  return {
    async send({ key, target, message, approval }, asker) {
      if (asker.kind === 'node') throw new FederationError('FORBIDDEN', 'a node sends no messages of its own');
      const payload = createHash('sha256')
        .update(JSON.stringify([target, message]))
        .digest('hex');
      const asked = book.ofKey(asker, key);
      if (asked !== undefined) {
        const before = await asked;
        if (before.payload === payload) return { view: messageView(before), isNew: false };
        throw new FederationError('HANDOFF_CONFLICT', 'this key stands for another message', {
          hint: 'choose another',
        });
      }
      const meant = resolveTarget(nodes.list(), target);
      const loadOf = load();
      const place = leastLoaded(meant.places, (one) => loadOf(one.node.id, one.agent.id).running);
      const node = meant.node ?? place?.node;
      const member = node === undefined ? undefined : nodes.member(node.id);
      if (member === undefined) throw new FederationError('AGENT_NOT_FOUND', 'there is no such agent');
      if (waitingFor(member.id).length >= MAX_WAITING) {
        throw new FederationError('QUEUE_FULL', `${MAX_WAITING} messages wait for ${member.name} already`, {
          retryAfterMs: 60_000,
        });
      }
      const agent = place?.agent.id ?? meant.agent;
      const action = { kind: 'message', agent: agent ?? '', message } as const;
      const permit = permits.permit({ asker, action, members: [member], approval });
      const record: MessageRecord = {
        ...{ id: createId(), key, payload, asker, target, node: { id: member.id, name: member.name }, agent },
        ...{ approval: permit.approvalFor(member) ?? null, text: message, state: 'waiting', problem: null },
        ...{ createdAt: Date.now(), overAt: null },
      };
      const detail = {
        ...{ id: record.id, node: member.name, nodeId: member.id, approval: permit.approval },
        ...actionDetail(action),
        ...askerDetail(asker),
      };
      const entry = { at: Date.now(), action: 'message.send', by: askerText(asker), detail };
      await book.add(record, [{ type: 'audit', entry }]);
      deliverSoon(member.id);
      return { view: messageView(record), isNew: true };
    },
    get(id) {
      const record = book.get(id);
      if (record !== undefined) return messageView(record);
      throw new FederationError('HANDOFF_NOT_FOUND', 'there is no such message (any more)');
    },
    async close() {
      await Promise.all([sweeping, ...delivering.values()]);
    },
  };
}

function messageView({ id, key, state, target, node, agent, problem, createdAt, overAt }: MessageRecord): MessageView {
  const deliveredAt = state === 'delivered' && overAt !== null ? iso(overAt) : null;
  return { id, key, state, target, node, agent, problem, createdAt: iso(createdAt), deliveredAt };
}
