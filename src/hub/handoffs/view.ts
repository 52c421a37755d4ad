import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { askerText } from '#src/core/policy.ts';
import type { HandoffHead } from '#src/hub/handoffs/desk.ts';
import type { HandoffListed } from '#src/protocol/handoffs.ts';

/** What is known of it at this moment, beyond its record. */
export interface ViewExtras {
  readonly seq: number;
  readonly position: number | null;
}

export function handoffHead(record: HandoffRecord): HandoffHead {
  const { id, key, state, target, asker } = record;
  return {
    ...{ id, key, state, target, asker: askerText(asker) },
    createdAt: iso(record.createdAt),
    startedAt: record.startedAt === null ? null : iso(record.startedAt),
    endedAt: record.endedAt === null ? null : iso(record.endedAt),
  };
}

export function handoffListed(record: HandoffRecord, { seq, position }: ViewExtras): HandoffListed {
  const { node, agent, task, attempt, parent, problem, usage, artefacts } = record;
  return {
    ...handoffHead(record),
    ...{ node, agent, task, attempt, position, seq },
    cancelling: record.cancelling !== null,
    parent,
    deadline: record.deadline === null ? null : iso(record.deadline),
    ...{ problem, usage },
    artefacts: [...artefacts],
  };
}

export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
