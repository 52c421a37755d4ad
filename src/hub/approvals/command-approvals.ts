import { EventEmitter } from 'node:events';
import type { Change, Store } from '#src/adapters/store/store.ts';
import type { Action } from '#src/core/action.ts';
import type { CommandApproval, Use } from '#src/core/command-approval.ts';
import { answered, isOpen, used } from '#src/core/command-approval.ts';
import { FederationError } from '#src/core/errors.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import { actionDetail, actionHash, askerDetail } from '#src/hub/approvals/action-detail.ts';
import type { CommandApprovalState, CommandDecision } from '#src/protocol/action.ts';

/** What is wanted, and of whom it is asked. */
export interface Wish {
  readonly asker: ChatAsker;
  readonly action: Action;
  readonly question: string;
  readonly nodes: readonly { readonly node: string; readonly id: string; readonly rule: string }[];
}

/**
 * What the owner has to answer before it is done, and what was answered lately. It is in memory alone: a hub that is
 * started anew knows none of it, and what was asked has to be asked again.
 */
export interface CommandApprovals {
  /** Resolves when it is recorded that it was asked. Throws PENDING_FULL. */
  ask(wish: Wish): Promise<CommandApprovalState>;
  /** Resolves when the answer is recorded; until then nothing can be done by it. Throws REQUEST_NOT_FOUND, APPROVAL_OVER. */
  answer(id: string, decision: CommandDecision, by: string): Promise<CommandApprovalState>;
  /** The one use. Throws APPROVAL_NEEDED, APPROVAL_OVER. */
  use(id: string, use: Use): CommandApproval;
  /** Ends all that are open. */
  endAll(): void;
  readonly changes: EventEmitter<{ approval: [CommandApprovalState] }>;
}

export interface CommandApprovalsOptions {
  readonly store: Pick<Store, 'commit'>;
  readonly createId: () => string;
  /** For an answer, and from that on for the use. */
  readonly lifeMs: number;
}

/** A person answers a few; an agent that asks for more of them has gone astray. */
const MAX_OPEN = 100;
/** Those that are over are remembered, so that a late answer hears why it is late. */
const MAX_KEPT = 1000;

interface Kept {
  readonly approval: CommandApproval;
  /** Milliseconds since the epoch, to be shown. */
  readonly expiresAt: number;
  /** Tells that it is over; null where nothing can come of it any more. */
  readonly timer: NodeJS.Timeout | null;
}

export function createCommandApprovals({ store, createId, lifeMs }: CommandApprovalsOptions): CommandApprovals {
  const kept = new Map<string, Kept>();
  /** Those whose answer is on its way to the disk. */
  const answering = new Set<string>();
  const changes: CommandApprovals['changes'] = new EventEmitter();
  const now = () => performance.now();

  function keep(approval: CommandApproval): Kept {
    const before = kept.get(approval.id);
    clearTimeout(before?.timer ?? undefined);
    const isNewLife = before === undefined || before.approval.endsAt !== approval.endsAt;
    const entry = {
      approval,
      expiresAt: isNewLife ? Date.now() + approval.endsAt - now() : before.expiresAt,
      timer: isOpen(approval, now()) ? afterEndOf(approval) : null,
    };
    kept.set(approval.id, entry);
    return entry;
  }

  function afterEndOf({ id, endsAt }: CommandApproval): NodeJS.Timeout {
    // A timer may come a moment early.
    return setTimeout(() => tell(id), Math.ceil(endsAt - now()) + 1).unref();
  }

  function tell(id: string): void {
    const entry = kept.get(id);
    if (entry !== undefined) changes.emit('approval', view(entry));
  }

  function view({ approval, expiresAt }: Kept): CommandApprovalState {
    const { id, question, asker, by, state } = approval;
    const isOver = (state === 'pending' || state === 'allowed') && !isOpen(approval, now());
    return {
      ...{ id, question, asker: askerText(asker), by },
      state: isOver ? 'expired' : state,
      expiresAt: new Date(expiresAt).toISOString(),
    };
  }

  function makeRoom(): void {
    const open = [...kept.values()].filter(({ approval }) => isOpen(approval, now()));
    if (open.length >= MAX_OPEN) {
      throw new FederationError('PENDING_FULL', `${MAX_OPEN} actions wait for the owner already`, {
        hint: 'answer some of them, or wait until they are over',
      });
    }
    for (const [id, { approval }] of kept) {
      if (kept.size < MAX_KEPT) return;
      if (!isOpen(approval, now())) kept.delete(id);
    }
  }

  function found(id: string): CommandApproval {
    const entry = kept.get(id);
    if (entry !== undefined) return entry.approval;
    throw new FederationError('REQUEST_NOT_FOUND', 'nothing waits for the owner under this id (any more)', {
      hint: 'ask for it once more; a hub that was started anew has forgotten what was asked before',
    });
  }

  const record = (action: string, by: string, detail: Readonly<Record<string, unknown>>): Change => ({
    type: 'audit',
    entry: { at: Date.now(), action, by, detail },
  });

  async function answer(id: string, decision: CommandDecision, by: string): Promise<CommandApprovalState> {
    const before = found(id);
    const allow = decision === 'allow-once';
    const after = answered(before, { allow, by, now: now(), lifeMs });
    if (answering.has(id)) {
      throw new FederationError('APPROVAL_OVER', 'it is being answered already', { hint: 'look at it again' });
    }
    answering.add(id);
    try {
      const detail = { approval: id, asker: askerText(before.asker), sha256: before.action, nodes: before.nodes };
      await store.commit([record(allow ? 'approval.allow' : 'approval.deny', by, detail)]);
    } finally {
      answering.delete(id);
    }
    // What ended all meanwhile ended this one, too.
    if (found(id) !== before) throw new FederationError('APPROVAL_OVER', 'its time is over');
    const entry = keep(after);
    tell(id);
    return view(entry);
  }

  return {
    async ask({ asker, action, question, nodes }) {
      makeRoom();
      const approval: CommandApproval = {
        ...{ id: createId(), asker, action: actionHash(action), nodes: nodes.map(({ id }) => id), question },
        ...{ state: 'pending', by: null, endsAt: now() + lifeMs },
      };
      // Kept at once: those that come meanwhile are counted against it.
      keep(approval);
      const detail = { approval: approval.id, ...askerDetail(asker), ...actionDetail(action), targets: nodes };
      try {
        await store.commit([record('approval.ask', askerText(asker), detail)]);
      } catch (error) {
        clearTimeout(kept.get(approval.id)?.timer ?? undefined);
        kept.delete(approval.id);
        throw error;
      }
      tell(approval.id);
      return view(kept.get(approval.id)!);
    },
    answer,
    use(id, use) {
      const entry = kept.get(id);
      if (entry === undefined) {
        throw new FederationError('APPROVAL_NEEDED', 'the hub knows no such approval (any more)', {
          hint: 'ask for it once more; a hub that was started anew has forgotten what was asked before',
        });
      }
      const after = used(entry.approval, use, now());
      keep(after);
      tell(id);
      return after;
    },
    endAll() {
      for (const { approval } of kept.values()) {
        if (!isOpen(approval, now())) continue;
        keep({ ...approval, endsAt: now() });
        tell(approval.id);
      }
    },
    changes,
  };
}
