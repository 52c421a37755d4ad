import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Meant } from '#src/core/handoff/resolve.ts';
import type { Member } from '#src/core/member.ts';
import type { Asker } from '#src/core/policy.ts';
import { bellOf } from '#src/hub/handoffs/bell.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import { notFound } from '#src/hub/handoffs/book.ts';
import type { HandoffCaller } from '#src/hub/handoffs/desk.ts';
import type { AgentNodes } from '#src/hub/handoffs/nodes.ts';
import { MAX_HOPS } from '#src/protocol/handoffs.ts';

/** What an agent may that works on a handoff and hands a part of it on to another machine. */
export interface Onward {
  /** The handoff above. Throws FORBIDDEN where it does not run at the caller, LOOP_DETECTED where it came too far. */
  parentOf(parent: string, caller: HandoffCaller): Promise<HandoffRecord>;
  /** In whose name somebody asks who hands nothing on. Throws FORBIDDEN for a node. */
  ownAsker(caller: HandoffCaller): Asker;
  deadlineOf(wished: number | null, above: HandoffRecord | null): number | null;
  pathBelow(above: HandoffRecord | null): readonly string[];
  /** Throws LOOP_DETECTED where it could go to nobody who did not hand it on. */
  refuseLoop(draft: HandoffRecord, meant: Meant): void;
  loop(): FederationError;
  /** Throws HANDOFF_NOT_FOUND for what is not the caller's to see. */
  visible(record: HandoffRecord | undefined, caller: HandoffCaller): HandoffRecord;
}

/** An agent may ask before its hub has heard that it began. */
const HEARD_MS = 5000;

export function createOnward(book: Book, nodes: AgentNodes, isAllowed: boolean, signal: AbortSignal): Onward {
  const isAt = (record: HandoffRecord | undefined, nodeId: string): boolean =>
    record !== undefined && record.node !== null && nodes.member(record.node.id)?.id === nodeId;

  function loop(): FederationError {
    return new FederationError('LOOP_DETECTED', 'it would come back to a machine that handed it on', {
      hint: 'hand it to an agent of another machine',
    });
  }

  /** Resolves when it is heard of one that is at the node that it has begun, or in vain after a while. */
  async function heardOf(id: string, nodeId: string): Promise<void> {
    const until = Date.now() + HEARD_MS;
    const isPlaced = (record = book.get(id)): boolean => record?.state === 'placed' && isAt(record, nodeId);
    using wake = bellOf(book, id);
    while (isPlaced() && Date.now() < until && !signal.aborted) await wake.wait(until, signal);
  }

  return {
    async parentOf(parent, caller) {
      if (caller.kind === 'node') await heardOf(parent, caller.id);
      const above = book.get(parent);
      if (caller.kind !== 'node' || above?.state !== 'started' || !isAt(above, caller.id)) {
        throw new FederationError('FORBIDDEN', 'no handoff of this id runs on this machine now', {
          hint: 'an agent hands on what it works on itself, and nothing else',
        });
      }
      if (!isAllowed) {
        throw new FederationError('FORBIDDEN', 'agents of other machines may hand nothing on', {
          hint: 'set hub.onward on the master',
        });
      }
      if (above.cancelling !== null) {
        throw new FederationError('FORBIDDEN', 'the end of this handoff was asked for');
      }
      if (above.hops + 1 > MAX_HOPS) {
        throw new FederationError(
          'LOOP_DETECTED',
          `it was handed on ${above.hops} times already, and that is the most`,
          {
            hint: 'do it here',
          },
        );
      }
      return above;
    },
    ownAsker(caller) {
      if (caller.kind !== 'node') return caller;
      throw new FederationError('FORBIDDEN', 'a node hands on what it works on, and names it as the parent');
    },
    deadlineOf(wished, above) {
      if (above?.deadline === null || above === null) return wished;
      return Math.min(wished ?? Infinity, above.deadline);
    },
    pathBelow: (above) =>
      above === null || above.node === null ? [] : [...above.path, memberId(nodes, above.node.id)],
    refuseLoop({ path }, { node, places }) {
      if (path.length === 0) return;
      const ids = node === null ? places.map((place) => place.node.id) : [node.id];
      if (ids.every((id) => nodes.wasAt(path, id))) throw loop();
    },
    loop,
    visible(record, caller) {
      const isOwn = (id: string): boolean => isAt(book.get(record?.parent ?? ''), id);
      if (record === undefined || (caller.kind === 'node' && !isOwn(caller.id))) throw notFound();
      return record;
    },
  };
}

/**
 * Where somebody works, an agent of another machine begins nothing: whoever asked for the whole allowed it there alone, and a
 * worker that has turned would have all that its askers may.
 */
export function takesParts({ role }: Pick<Member, 'role'>): boolean {
  return role === 'worker';
}

function memberId(nodes: AgentNodes, nodeId: string): string {
  return nodes.member(nodeId)?.id ?? nodeId;
}
