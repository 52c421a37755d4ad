import type { Change } from '#src/adapters/store/store.ts';
import type { Action } from '#src/core/action.ts';
import type { EndedDeed } from '#src/core/handoff/event.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import { actionDetail, askerDetail } from '#src/hub/approvals/action-detail.ts';

/** What the audit says of a handoff. No answer of an agent is in it. */

type Detail = Readonly<Record<string, unknown>>;

function record(action: string, asker: Asker, detail: Detail): Change {
  return { type: 'audit', entry: { at: Date.now(), action, by: askerText(asker), detail } };
}

export function askedFor(handoff: HandoffRecord, action: Action): Change {
  const { id, key, target, parent, approval, rerunnable, asker } = handoff;
  const used = approval === null ? null : { id: approval.id, by: approval.by };
  return record('handoff.create', asker, {
    ...{ id, key, target, parent, rerunnable, approval: used },
    ...actionDetail(action),
    ...askerDetail(asker),
  });
}

/** `others`: who could have had it, too. */
export function givenTo(handoff: HandoffRecord, others: readonly string[]): Change {
  const { id, node, agent, attempt, asker } = handoff;
  return record('handoff.place', asker, { id, node: node?.name, nodeId: node?.id, agent, attempt, others });
}

export function takenBack(handoff: HandoffRecord, problem: string | null, isRestarted: boolean): Change {
  const { id, node, attempt, asker } = handoff;
  return record(isRestarted ? 'handoff.restart' : 'handoff.unplace', asker, { id, node: node?.name, attempt, problem });
}

export function endAskedFor(handoff: HandoffRecord, by: string): Change {
  return { type: 'audit', entry: { at: Date.now(), action: 'handoff.cancel', by, detail: { id: handoff.id } } };
}

export function overWith(handoff: HandoffRecord, deed: EndedDeed): Change {
  const { id, node, attempt, asker, artefacts } = handoff;
  const { outcome, problem } = deed;
  const files = artefacts.map(({ name, sha256 }) => ({ name, sha256 }));
  return record('handoff.end', asker, { id, node: node?.name ?? null, attempt, outcome, problem, files });
}
