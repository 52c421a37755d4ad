import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';

/** Tells nodes, as soon as they are back, that nobody wants any more what they may still work on. */
export function tellWhatIsOver(
  book: Book,
  nodes: AgentNodes,
  fleet: Pick<Fleet, 'changes'>,
  calls: Pick<WorkerCalls, 'cancel'>,
  log: Log,
): void {
  /** By the id that the node had: what it is to be told. */
  const owed = new Map<string, Set<string>>();
  const telling = new Set<string>();

  function note(record: HandoffRecord): void {
    for (const nodeId of record.owed) {
      owed.set(nodeId, (owed.get(nodeId) ?? new Set()).add(record.id));
      void tell(nodeId);
    }
  }

  async function tell(nodeId: string): Promise<void> {
    const link = nodes.link(nodeId);
    if (link === undefined || telling.has(nodeId)) return;
    telling.add(nodeId);
    try {
      for (const id of owed.get(nodeId) ?? []) {
        await calls.cancel(link, id).catch((error: unknown) => {
          if (!(error instanceof FederationError) || error.code !== 'HANDOFF_NOT_FOUND') throw error;
        });
        owed.get(nodeId)?.delete(id);
        const left = (record: HandoffRecord): readonly string[] => record.owed.filter((one) => one !== nodeId);
        if (book.get(id) !== undefined) {
          await book.change(id, (record) => ({ next: { ...record, owed: left(record) } }));
        }
      }
    } catch (error) {
      // It is told when it is back the next time.
      log.warn('a node could not be told that a handoff is over', { node: nodeId, problem: String(error) });
    } finally {
      telling.delete(nodeId);
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
