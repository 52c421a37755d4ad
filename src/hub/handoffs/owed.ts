import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Bell } from '#src/hub/handoffs/bell.ts';
import { createBell } from '#src/hub/handoffs/bell.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Link } from '#src/link/accept.ts';

const RETRY_MS = 30_000;

/** Tells nodes, as soon as they are back, that nobody wants any more what they may still work on. */
export function tellWhatIsOver(
  book: Book,
  nodes: AgentNodes,
  fleet: Pick<Fleet, 'changes'>,
  calls: Pick<WorkerCalls, 'cancel'>,
  log: Log,
  signal: AbortSignal,
): void {
  /** By the id that the node had: what it is to be told. */
  const owed = new Map<string, Set<string>>();
  const telling = new Map<string, Bell>();

  function note(record: HandoffRecord): void {
    for (const nodeId of record.owed) {
      owed.set(nodeId, (owed.get(nodeId) ?? new Set()).add(record.id));
      void tell(nodeId);
    }
  }

  /** Also where one of them can’t be told: the others are, and it is told a moment later, or when the node is back. */
  async function tell(nodeId: string): Promise<void> {
    const before = telling.get(nodeId);
    if (before !== undefined) return before.ring();
    const bell = createBell();
    telling.set(nodeId, bell);
    for (let link = nodes.link(nodeId); link !== undefined && !signal.aborted; link = nodes.link(nodeId)) {
      for (const id of owed.get(nodeId) ?? []) await tellOne(nodeId, id, link);
      if (owed.get(nodeId)?.size === 0) owed.delete(nodeId);
      if (!owed.has(nodeId)) break;
      await bell.wait(Date.now() + RETRY_MS, signal);
    }
    telling.delete(nodeId);
  }

  async function tellOne(nodeId: string, id: string, link: Link): Promise<void> {
    try {
      await calls.cancel(link, id).catch((error: unknown) => {
        if (!(error instanceof FederationError) || error.code !== 'HANDOFF_NOT_FOUND') throw error;
      });
      const left = (record: HandoffRecord): readonly string[] => record.owed.filter((one) => one !== nodeId);
      if (book.get(id) !== undefined) {
        await book.change(id, (record) => ({ next: { ...record, owed: left(record) } }));
      }
      owed.get(nodeId)?.delete(id);
    } catch (error) {
      log.warn('a node could not be told that a handoff is over', { node: nodeId, id, problem: String(error) });
    }
  }

  for (const record of book.all()) note(record);
  book.changes.on('handoff', (now, before) => {
    if (now.owed.length > (before?.owed.length ?? 0)) note(now);
  });
  fleet.changes.on('up', ({ nodeId }) => {
    for (const id of owed.keys()) if (nodes.member(id)?.id === nodeId) void tell(id);
  });
}
