import { FederationError } from '#src/core/errors.ts';
import { actionText } from '#src/core/action.ts';
import type { ChatAsker } from '#src/core/policy.ts';
import type { HubApi } from '#src/adapters/hub-api.ts';
import { asCode } from '#src/plugin/block.ts';
import type { Approved, ClusterTool, Wish } from '#src/plugin/call.ts';
import { oneLine } from '#src/plugin/quoted.ts';
import { shownQuestion } from '#src/plugin/question.ts';
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

/** One call of a tool. Its id alone names none: models number their calls anew in each turn, or give them no id. */
interface JudgedCall {
  readonly asker: ChatAsker;
  readonly id: string;
  readonly wish: Wish;
}

interface AskedCall extends JudgedCall {
  /** Text that it would write; null where it is none. */
  readonly content: string | null | undefined;
}

/** The questions to the owner that stand between a call of a tool and what it does. */
export interface Approvals {
  /** Has the hub judge what the call would do. Undefined: it may go on as it is. */
  judge(hub: HubApi, call: AskedCall, tool: ClusterTool, signal?: AbortSignal): Promise<Judged | undefined>;
  /**
   * The approval that was given to this very call, which is used up by it. Null where none was, also where the question was
   * never put and its time is over. Throws the reason of `signal`.
   */
  take(call: JudgedCall, signal: AbortSignal): Promise<Approved | null>;
}

/** What OpenClaw shows of a title at most, in characters. */
const MAX_TITLE = 80;
/** Questions that nobody used by then: their calls are gone. */
const FORGOTTEN_MS = 15 * 60_000;

interface Asked {
  readonly approved: Approved;
  readonly answered: PromiseWithResolvers<void>;
  readonly askedAt: number;
  /** Milliseconds from then on, for an answer. */
  readonly lifeMs: number;
}

export function createApprovals(): Approvals {
  const asked = new Map<string, Asked>();

  function forgetOld(): void {
    for (const [key, { askedAt }] of asked) if (performance.now() - askedAt > FORGOTTEN_MS) asked.delete(key);
  }

  function forget(key: string, mine: Asked): void {
    if (asked.get(key) === mine) asked.delete(key);
  }

  return {
    async judge(hub, call, tool, signal) {
      const key = keyOf(call);
      // Of an earlier call that never ran: what is asked now is asked anew.
      asked.delete(key);
      forgetOld();
      const { targets, approval } = await hub.ask<Verdicts>('POST', '/verdicts', call.wish, signal);
      const denied = targets.filter(({ verdict }) => verdict === 'deny');
      if (denied.length > 0 && denied.length === targets.length) {
        return {
          block: true,
          blockReason: denied.map(({ node, rule }) => oneLine(`${node}: denied: ${rule}`)).join('\n'),
        };
      }
      if (approval === null) return undefined;
      const shown = await shownQuestion(approval.question, call.content);
      if ('problem' in shown) return { block: true, blockReason: blockText(tool, shown.problem) };
      const lifeMs = Math.max(1000, Date.parse(approval.expiresAt) - Date.now());
      const mine: Asked = {
        approved: { id: approval.id, targets: targets.map(({ id }) => id) },
        answered: Promise.withResolvers<void>(),
        askedAt: performance.now(),
        lifeMs,
      };
      asked.set(key, mine);
      return {
        requireApproval: {
          title: titleOf(tool, targets),
          description: shown.text,
          severity: 'warning',
          allowedDecisions: ['allow-once', 'deny'],
          timeoutMs: lifeMs,
          async onResolution(decision) {
            if (decision !== 'allow-once') forget(key, mine);
            await resolve(hub, mine, decision).finally(mine.answered.resolve);
          },
        },
      };
    },
    async take(call, signal) {
      const key = keyOf(call);
      const mine = asked.get(key);
      asked.delete(key);
      if (mine === undefined) return null;
      const isAnswered = await within(mine.answered.promise, mine.askedAt + mine.lifeMs - performance.now(), signal);
      return isAnswered ? mine.approved : null;
    },
  };
}

/** The machines, where none of their names is read as more than a name; the question has them all. */
function titleOf({ label }: ClusterTool, targets: Verdicts['targets']): string {
  const names = targets.map(({ node }) => node);
  const whole = `${label}: ${names.join(', ')}`;
  return whole.length <= MAX_TITLE && names.every((name) => asCode(name) === name) ? whole : label;
}

/** Whether something came to its end in time. Throws the reason of `signal`. */
async function within(promise: Promise<void>, ms: number, signal: AbortSignal): Promise<boolean> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(Math.max(0, Math.ceil(ms)))]);
  const ended = Promise.withResolvers<void>();
  over.addEventListener('abort', () => ended.resolve(), { once: true });
  if (over.aborted) ended.resolve();
  const isAnswered = await Promise.race([promise.then(() => true), ended.promise.then(() => false)]);
  signal.throwIfAborted();
  return isAnswered;
}

function keyOf({ asker, id, wish }: JudgedCall): string {
  const { channel, sender, owner, agent, session } = asker;
  return JSON.stringify([channel, sender, owner, agent, session, id, wish.targets, actionText(wish.action)]);
}

/** What was not shown whole can't be approved. */
function blockText({ name }: ClusterTool, problem: string): string {
  return `${name} needs the owner’s approval here, and ${problem}. Do it in other or shorter steps, each of which can be shown.`;
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
