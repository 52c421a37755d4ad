import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { askerText } from '#src/core/policy.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';

/** What is known of it at this moment, beyond its record. */
export interface ViewExtras {
  readonly seq: number;
  readonly position: number | null;
  readonly text: string | null;
}

export function handoffView(record: HandoffRecord, { seq, position, text }: ViewExtras): HandoffView {
  const { id, key, state, target, node, agent, asker, task, attempt, parent, problem, usage, artefacts } = record;
  return {
    ...{ id, key, state, target, node, agent, asker: askerText(asker), task, attempt, position, seq },
    cancelling: record.cancelling !== null,
    parent,
    createdAt: iso(record.createdAt),
    startedAt: record.startedAt === null ? null : iso(record.startedAt),
    endedAt: record.endedAt === null ? null : iso(record.endedAt),
    deadline: record.deadline === null ? null : iso(record.deadline),
    ...{ text, problem, usage },
    artefacts: [...artefacts],
  };
}

export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
