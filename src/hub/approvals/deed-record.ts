import type { Store } from '#src/adapters/store/store.ts';
import type { Action } from '#src/core/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { outcomeOfFailure } from '#src/core/outcome.ts';
import type { Asker } from '#src/core/policy.ts';
import { askerText } from '#src/core/policy.ts';
import { actionDetail, askerDetail } from '#src/hub/approvals/action-detail.ts';
import type { Permit, PermitTarget } from '#src/hub/approvals/permits.ts';

export interface Deed {
  readonly id: string;
  readonly asker: Asker;
  readonly action: Action;
  readonly member: PermitTarget;
  readonly permit: Permit;
  /** What else is asked for and is part of no approval, such as a part of a file. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** The audit of what is done to one node at once: a record before it, and one of what came of it. Content is in none. */
export interface DeedRecord {
  /** Resolves when it is durable; nothing is done before. */
  begin(): Promise<void>;
  end(detail: Readonly<Record<string, unknown>>): void;
  /** The same for what failed, or of which nobody knows how it ended. */
  failed(error: unknown): void;
}

export function deedRecord(
  { id, asker, action, member, permit, more = {} }: Deed,
  store: Pick<Store, 'commit' | 'commitSoon'>,
  onFault: (error: unknown) => void,
): DeedRecord {
  const what = action.kind === 'tool' ? 'tool.call' : `file.${action.kind}`;
  const record = (name: string, detail: Readonly<Record<string, unknown>>) =>
    ({ type: 'audit', entry: { at: Date.now(), action: name, by: askerText(asker), detail } }) as const;

  function end(detail: Readonly<Record<string, unknown>>): void {
    // Not waited for: it is done, and the asker hears of it in any case.
    store.commitSoon([record(`${what}.end`, { id, node: member.name, ...detail })]).catch(onFault);
  }

  return {
    begin: () =>
      store.commit([
        record(what, {
          ...{ id, node: member.name, nodeId: member.id },
          ...actionDetail(action),
          ...more,
          ...askerDetail(asker),
          approval: permit.approval,
        }),
      ]),
    end: (detail) => end({ outcome: 'ok', ...detail }),
    failed(error) {
      const code = error instanceof FederationError ? { code: error.code } : {};
      end({ outcome: outcomeOfFailure(error), ...code });
    },
  };
}
