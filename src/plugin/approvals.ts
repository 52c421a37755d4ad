import { FederationError } from '#src/core/errors.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import type { Approved, ClusterTool, Wish } from '#src/plugin/call.ts';
import type { CommandDecision, Verdicts } from '#src/protocol/action.ts';

/** What OpenClaw takes back from the hook before a tool call. */
export interface Judged {
  readonly block?: boolean;
  readonly blockReason?: string;
  readonly requireApproval?: {
    readonly title: string;
    readonly description: string;
    readonly severity: 'warning' | 'critical';
    readonly allowedDecisions: ('allow-once' | 'deny')[];
    readonly timeoutMs: number;
    readonly onResolution: (decision: string) => Promise<void>;
  };
}

/** The questions to the owner that stand between a call of a tool and what it does. */
export interface Approvals {
  /** Has the hub judge what the call would do. Undefined: it may go on as it is. */
  judge(hub: HubApi, callId: string, tool: ClusterTool, wish: Wish, signal?: AbortSignal): Promise<Judged | undefined>;
  /** The approval that was given to this call, which is used up by it. Null where none was asked for. */
  take(callId: string): Promise<Approved | null>;
}

/** What OpenClaw shows of a question at most, in characters. */
const MAX_TITLE = 80;
const MAX_DESCRIPTION = 512;
/** Questions that nobody used by then: their calls are gone. */
const FORGOTTEN_MS = 15 * 60_000;

interface Asked {
  readonly approved: Approved;
  readonly answered: PromiseWithResolvers<void>;
  readonly askedAt: number;
}

export function createApprovals(): Approvals {
  const asked = new Map<string, Asked>();

  function forgetOld(): void {
    for (const [callId, { askedAt }] of asked) if (performance.now() - askedAt > FORGOTTEN_MS) asked.delete(callId);
  }

  return {
    async judge(hub, callId, tool, wish, signal) {
      const { targets, approval } = await hub.ask<Verdicts>('POST', '/verdicts', wish, signal);
      const denied = targets.filter(({ verdict }) => verdict === 'deny');
      if (denied.length > 0 && denied.length === targets.length) {
        return { block: true, blockReason: denied.map(({ node, rule }) => `${node}: denied: ${rule}`).join('\n') };
      }
      if (approval === null) return undefined;
      if (approval.question.length > MAX_DESCRIPTION) return tooLong(tool);
      forgetOld();
      const mine: Asked = {
        approved: { id: approval.id, targets: targets.map(({ id }) => id) },
        answered: Promise.withResolvers<void>(),
        askedAt: performance.now(),
      };
      asked.set(callId, mine);
      return {
        requireApproval: {
          title: `${tool.label}: ${targets.map(({ node }) => node).join(', ')}`.slice(0, MAX_TITLE),
          description: approval.question,
          severity: 'warning',
          allowedDecisions: ['allow-once', 'deny'],
          timeoutMs: Math.max(1000, Date.parse(approval.expiresAt) - Date.now()),
          onResolution: (decision) => resolve(hub, mine, decision).finally(mine.answered.resolve),
        },
      };
    },
    async take(callId) {
      const mine = asked.get(callId);
      asked.delete(callId);
      await mine?.answered.promise;
      return mine?.approved ?? null;
    },
  };
}

/** What was not shown whole can't be approved. */
function tooLong({ name }: ClusterTool): Judged {
  const what = `${name} needs the owner’s approval here, and is too long to be shown whole at the question`;
  return { block: true, blockReason: `${what}. Do it in shorter steps, or write a script there first and run that.` };
}

/** Whatever is no clear yes is a no. The hub's own word decides when the tool runs: a failure here fails the call there. */
async function resolve(hub: HubApi, { approved }: Asked, decision: string): Promise<void> {
  const said: CommandDecision = decision === 'allow-once' ? 'allow-once' : 'deny';
  try {
    await hub.ask('POST', `/command-approvals/${approved.id}`, { decision: said });
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
  }
}
